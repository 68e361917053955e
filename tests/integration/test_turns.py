"""The turns of a poll lane on a real Valkey: its slots keep the window, whoever holds it and whatever happens."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from relay.domain.account import AccountEntry, LearnedLimit
from relay.domain.budget import Limit
from relay.domain.errors import FencedError
from relay.domain.slots import NEVER_USED, Report
from relay.domain.task import Looks
from relay.store import keys
from relay.store.accounts import AccountStore
from relay.store.deliveries import DeliveryStore
from relay.store.keys import LaneKind, LaneName
from relay.store.lanes import AHEAD_MS, Grants, LaneStore, Rate, TurnRequest
from relay.store.store import Store
from relay.store.vault import Vault
from relay.store.write import Fence, Write
from tests.support.builders import NAME, NOW, a_registration, a_task
from tests.support.relays import ENCRYPTION_KEY
from tests.support.valkey import Valkey

LIMIT = Limit(5, 0.2)
RATE = Rate(LIMIT, None, timeout_s=1.5)
PACE_MS = 40
HOUR_MS = 3_600_000


@dataclass
class Holder:
    """Holds a lane as a worker does, and believes what the store grants without a second thought."""

    lanes: LaneStore
    fence: Fence
    turned_at: float = field(default_factory=time.monotonic)
    number: int = 0

    @property
    def key(self) -> str:
        return keys.lane(self.fence.lane)

    async def turn(self, want: int, rate: Rate = RATE, ended: Iterable[tuple[int, int]] = (), **told: object) -> Grants:
        """Take a turn that is heard; `ended` are (till, ms for which the slot is held)."""
        self.number += 1
        slots = Report(self.number, self.number - 1, [(till, hold, self.number) for till, hold in ended])
        return await self.turn_as(slots, want, rate, **told)

    async def turn_as(self, slots: Report, want: int, rate: Rate = RATE, **told: object) -> Grants:
        now = time.monotonic()
        request = TurnRequest(
            elapsed_ms=round((now - self.turned_at) * 1000), want=want, since=0, slots=slots,
            looks={}, statuses={}, all_changes=False, earliest_ms=0,
        )  # fmt: skip
        self.turned_at = now
        return await self.lanes.turn(self.fence, rate, replace(request, **told))  # type: ignore[arg-type]


async def held_by(store: Store, name: str, account: str = "default") -> Holder:
    """Give the lane to `name`, whose own lease or another's has passed."""
    lane = LaneName(LaneKind.POLL, account)
    await store.ask("ZADD", keys.LANES, "XX", 1, str(lane))
    lanes = LaneStore(store, name)
    fence = await lanes.acquire(lane)
    assert fence is not None
    return Holder(lanes, fence)


@pytest.fixture
async def holder(store: Store) -> Holder:
    return await held_by(store, "first")


def granted(grants: Grants) -> int:
    return sum(count for _, _, count in grants.slots)


def named(grants: Grants, *, hold_ms: int) -> list[tuple[int, int]]:
    """Return what the holder tells of these slots when their calls have just ended."""
    return [(till, hold_ms) for _, till, count in grants.slots for _ in range(count)]


# ---------------------------------------------------------------------- the window


@dataclass
class Traffic:
    """Calls made in the slots of one lane: (sent, answered) of each on this machine's monotonic clock."""

    store: Store
    random: Random
    account: str
    calls: list[tuple[float, float]] = field(default_factory=list)
    ended: list[tuple[int, float]] = field(default_factory=list)

    async def run(self, *, turns: int, turns_a_holder: int) -> None:
        """Use every slot as soon as it comes; after so many turns the holder vanishes without a word."""
        async with asyncio.TaskGroup() as calls:
            for number in range(turns):
                if number % turns_a_holder == 0:
                    self.ended.clear()
                    holder = await held_by(self.store, f"holder {number}", self.account)
                grants = await holder.turn(3, ended=self._told())
                received = time.monotonic()
                for at_ms, till_ms, count in grants.slots:
                    for _ in range(count):
                        calls.create_task(self._call(received + at_ms / 1000, till_ms))
                await asyncio.sleep(0.02)  # a turn's length

    def _told(self) -> list[tuple[int, int]]:
        now, ended = time.monotonic(), self.ended
        self.ended = []
        return [(till, max(0, -int(-(at + LIMIT.window_s - now) * 1000 // 1))) for till, at in ended]

    async def _call(self, at: float, till_ms: int) -> None:
        await asyncio.sleep(max(0.0, at - time.monotonic()))  # the slot is still to come
        sent = time.monotonic()
        await asyncio.sleep(self.random.choice([0.0, 0.01, 0.05, 0.15]) * self.random.random())  # the upstream's time
        answered = time.monotonic()
        self.calls.append((sent, answered))
        self.ended.append((till_ms, answered))

    def worst_window(self) -> int:
        """Return how many calls could have arrived within one window, had each arrived when it hurts most."""
        return max(
            sum(sent < opened + LIMIT.window_s and answered >= opened for sent, answered in self.calls)
            for _, opened in self.calls
        )


@pytest.mark.parametrize("turns_a_holder", [1_000, 15], ids=["one-holder", "holders-that-vanish"])
async def test_no_window_holds_more_calls_than_the_limit_wherever_they_arrive(
    store: Store, turns_a_holder: int
) -> None:
    traffics = [Traffic(store, Random(number), f"account-{number}") for number in range(6)]
    await asyncio.gather(*(traffic.run(turns=60, turns_a_holder=turns_a_holder) for traffic in traffics))
    assert [traffic.worst_window() for traffic in traffics if traffic.worst_window() > LIMIT.calls] == []
    assert min(len(traffic.calls) for traffic in traffics) > LIMIT.calls


async def test_no_more_slots_are_granted_than_the_limit_while_none_has_ended(holder: Holder) -> None:
    assert granted(await holder.turn(100)) == LIMIT.calls
    again = await holder.turn(100)
    assert (granted(again), again.in_use) == (0, LIMIT.calls)
    assert again.next_free_ms is not None
    assert 1_500 < again.next_free_ms <= 1_900  # the first call's timeout and a window


async def test_grants_are_one_pace_apart_and_go_no_further_than_a_turn(holder: Holder) -> None:
    offsets = [at_ms for at_ms, _, _ in (await holder.turn(100)).slots]
    assert offsets == [0, PACE_MS, 2 * PACE_MS, 3 * PACE_MS, 4 * PACE_MS]
    late = [at_ms for at_ms, _, _ in (await (await fresh(holder)).turn(100, earliest_ms=AHEAD_MS - PACE_MS)).slots]
    assert late == [AHEAD_MS - PACE_MS, AHEAD_MS]


async def fresh(holder: Holder) -> Holder:
    """Return a holder of another account's lane, where no slot is held."""
    lane = LaneName(LaneKind.POLL, "fresh")
    fence = await holder.lanes.acquire(lane)
    assert fence is not None
    return Holder(holder.lanes, fence)


async def test_a_slot_is_held_for_a_window_after_its_answer_and_not_a_moment_less(holder: Holder, store: Store) -> None:
    rate = Rate(Limit(400, 0.4), None, timeout_s=1.0)  # slots are told apart to the millisecond
    for hold_ms in range(100, 200):
        grants = await holder.turn(1, rate)
        told_at = time.time()
        await holder.turn(0, rate, ended=named(grants, hold_ms=hold_ms))
        slots = (await store.ask("HGET", holder.key, "slots")).decode().split()
        assert max(int(slot.partition("=")[0]) for slot in slots) >= told_at * 1000 + hold_ms


async def test_an_answer_frees_the_slot_a_window_later(holder: Holder) -> None:
    first = await holder.turn(100)
    after = await holder.turn(100, ended=named(first, hold_ms=150))
    assert granted(after) == LIMIT.calls
    assert min(at_ms for at_ms, _, _ in after.slots) >= 150


async def test_slots_that_were_never_used_are_free_at_once(holder: Holder) -> None:
    first = await holder.turn(100)
    after = await holder.turn(100, ended=named(first, hold_ms=NEVER_USED))
    assert granted(after) == LIMIT.calls
    assert after.slots[0][0] == 0


async def test_a_smaller_limit_holds_from_the_next_slot_on(holder: Holder) -> None:
    smaller = Rate(Limit(2, 0.2), None, timeout_s=1.0)
    first = await holder.turn(100)
    last_two = named(first, hold_ms=180)[-2:]
    freed = named(first, hold_ms=0)[:3]
    assert granted(await holder.turn(100, smaller, ended=freed)) == 0
    after = await holder.turn(100, smaller, ended=last_two)
    assert (granted(after), after.slots[0][0] >= 179) == (2, True)


async def test_a_greater_limit_holds_from_the_next_slot_on(holder: Holder) -> None:
    await holder.turn(100)
    assert granted(await holder.turn(100, Rate(Limit(8, 0.2), None, timeout_s=1.0))) == 3


async def test_who_has_not_heard_what_the_operator_says_is_granted_nothing(holder: Holder, store: Store) -> None:
    accounts = AccountStore(store, Vault((ENCRYPTION_KEY,)))
    unsaid = replace(RATE, said=(await accounts.said("default")).digest)
    first = await holder.turn(2, unsaid)
    await accounts.put(AccountEntry("default", "key", limit=Limit(2, 0.2)))
    heeded_too_early = await accounts.heeded("default")
    outdated = await holder.turn(2, unsaid, ended=named(first, hold_ms=NEVER_USED))
    after = await holder.turn(2, replace(RATE, said=(await accounts.said("default")).digest))

    assert [(granted(one), one.outdated) for one in (first, outdated, after)] == [(2, False), (0, True), (2, False)]
    assert outdated.in_use == 0
    assert (heeded_too_early, await accounts.heeded("default")) == (False, True)

    await accounts.delete("default")
    heeded_too_early = await accounts.heeded("default")
    await holder.turn(0, replace(RATE, said=""))  # it has found no account, and so nothing to poll by
    assert (heeded_too_early, await accounts.heeded("default")) == (False, True)


async def test_when_the_window_becomes_longer_so_does_every_hold(holder: Holder) -> None:
    first = await holder.turn(LIMIT.calls)
    longer = Rate(Limit(LIMIT.calls, 60.0), None, timeout_s=RATE.timeout_s)
    assert granted(await holder.turn(100, longer, ended=named(first, hold_ms=59_000))) == 0
    await asyncio.to_thread(time.sleep, 0.25)  # longer than the old window
    assert granted(await holder.turn(100, longer)) == 0
    assert (await holder.turn(0, longer)).in_use == LIMIT.calls


async def test_a_daily_limit_is_spread_over_what_is_left_of_the_day(holder: Holder, store: Store) -> None:
    day_s, hour_s = 86_400, 3_600
    now = int((await store.ask("TIME"))[0])
    gone_s = now % day_s
    left_s = (day_s - gone_s) * hour_s / (gone_s + hour_s)
    calls = max(1, int(left_s / 30))  # whatever the hour, one each half a minute
    daily, each_s = replace(RATE, daily_limit=calls), left_s / calls
    assert granted(await holder.turn(100, daily)) == 1
    assert granted(await holder.turn(100, daily)) == 0
    paced_ms = int(await store.ask("HGET", holder.key, "paced"))
    assert paced_ms / 1_000 - now == pytest.approx(each_s, rel=0.05, abs=2)


async def test_a_busy_day_is_spread_thinner_than_an_idle_one(holder: Holder, store: Store) -> None:
    daily = replace(RATE, daily_limit=1_000)
    now = int((await store.ask("TIME"))[0])
    await store.ask("HSET", holder.key, "day", now // 86_400, "spent", 0, "busy", now % 86_400 * 1_000)
    await holder.turn(100, daily)
    paced_ms = int(await store.ask("HGET", holder.key, "paced"))
    assert paced_ms / 1_000 - now == pytest.approx((86_400 - now % 86_400) / 1_000, rel=0.05, abs=2)


async def test_a_daily_limit_ends_the_day_and_what_was_not_used_does_not_count(holder: Holder, store: Store) -> None:
    daily = replace(RATE, daily_limit=7)
    today = int((await store.ask("TIME"))[0]) // 86_400
    await store.ask("HSET", holder.key, "day", today, "spent", 7, "busy", 0)
    assert granted(await holder.turn(100, daily)) == 0
    assert granted(await holder.turn(100, daily, ended=[(1, NEVER_USED)])) == 1
    await store.ask("HSET", holder.key, "day", today - 1, "spent", 7, "paced", 0)
    assert granted(await holder.turn(100, daily)) > 0


# ---------------------------------------------------------------------- turns whose answer is lost


async def test_what_a_turn_granted_that_was_not_heard_is_free_again(holder: Holder) -> None:
    assert granted(await holder.turn_as(Report(1, 0, []), 100)) == LIMIT.calls
    again = await holder.turn_as(Report(2, 0, []), 100)
    assert (granted(again), again.in_use, again.slots[0][0]) == (LIMIT.calls, LIMIT.calls, 0)
    assert granted(await holder.turn_as(Report(3, 2, []), 100)) == 0  # the second one was heard


async def test_what_is_told_again_counts_once(holder: Holder) -> None:
    slots = [till for _, till, _ in (await holder.turn_as(Report(1, 0, []), 100)).slots]
    ended = [(till, 180, 2) for till in slots[:2]]
    await holder.turn_as(Report(2, 1, ended), 0)
    after = await holder.turn_as(Report(3, 1, [*ended, (slots[2], 180, 3)]), 0)
    assert after.in_use == LIMIT.calls


async def test_a_turn_that_comes_after_a_later_one_is_refused(holder: Holder) -> None:
    await holder.turn_as(Report(2, 0, []), 100)
    with pytest.raises(FencedError):
        await holder.turn_as(Report(1, 0, []), 100)
    assert granted(await holder.turn_as(Report(3, 2, []), 100)) == 0


# ---------------------------------------------------------------------- death, takeover, clocks


async def test_slots_in_flight_outlive_their_holder(holder: Holder, store: Store) -> None:
    await holder.turn(3)
    await asyncio.to_thread(time.sleep, 0.03)  # the dead holder's lease passes
    heir = await held_by(store, "second")
    assert granted(await heir.turn(100)) == LIMIT.calls - 3
    with pytest.raises(FencedError):
        await holder.turn(1)


async def test_a_lane_handed_back_keeps_its_window(holder: Holder, store: Store) -> None:
    first = await holder.turn(100)
    await holder.turn(0, ended=named(first, hold_ms=180))
    await holder.lanes.release(holder.fence)
    heir = await held_by(store, "second")
    after = await heir.turn(100)
    assert after.slots[0][0] >= 100


async def test_a_store_clock_that_is_set_back_makes_nobody_wait_for_it(holder: Holder, store: Store) -> None:
    await store.ask("HSET", keys.CLOCK, "ahead", 24 * HOUR_MS)  # to the scripts it is all one whose clock is ahead
    delivery = LaneName(LaneKind.DELIVERY, "default")
    fence = await holder.lanes.acquire(delivery)
    assert fence is not None
    write = Write()
    write.due("default", "reg_1", delay_s=0.0)
    assert await store.commit(write) is None
    await holder.turn(100)
    await store.ask("HSET", keys.CLOCK, "ahead", 0)

    claims = await DeliveryStore(store).claim(fence, want=1)
    assert claims.next_due_s is not None
    assert claims.claimed == ["reg_1"] or claims.next_due_s <= 0.1
    assert (await holder.turn(100)).in_use == LIMIT.calls
    lapses_s = await LaneStore(store, "second").next_due_s()
    assert lapses_s is not None
    assert lapses_s <= 5.1

    write = Write()
    write.leave("default", "reg_1")
    assert await store.commit(write) is None


async def test_a_day_that_was_begun_too_soon_is_not_begun_again(holder: Holder, store: Store) -> None:
    tomorrow = int((await store.ask("TIME"))[0]) // 86_400 + 1
    await store.ask("HSET", holder.key, "day", tomorrow, "spent", 7, "busy", 0)
    assert granted(await holder.turn(100, replace(RATE, daily_limit=7))) == 0


async def jump(store: Store, holder: Holder, ms: int) -> None:
    """Let the store's clock jump forward: what was written before lies `ms` further back."""
    turned, slots = await store.ask("HMGET", holder.key, "turned", "slots")
    pairs = [slot.partition("=") for slot in slots.decode().split()]
    earlier = " ".join(f"{int(till) - ms}={count}" for till, _, count in pairs)
    await store.ask("HSET", holder.key, "turned", int(turned) - ms, "slots", earlier)


@pytest.mark.parametrize("jump_ms", [600, HOUR_MS, 24 * HOUR_MS])
async def test_a_store_clock_that_jumps_forward_opens_no_window(holder: Holder, store: Store, jump_ms: int) -> None:
    await holder.turn(100)
    await jump(store, holder, jump_ms)
    after = await holder.turn(100)
    assert (granted(after), after.in_use) == (0, LIMIT.calls)
    assert abs(after.jump_ms - jump_ms) < 500


async def test_a_forward_jump_that_ends_the_lease_opens_no_window(holder: Holder, store: Store) -> None:
    await holder.turn(100)
    await jump(store, holder, HOUR_MS)
    heir = await held_by(store, "second")
    assert granted(await heir.turn(100)) == 0


async def test_a_store_clock_that_jumps_back_holds_no_slot_for_ever(holder: Holder, store: Store) -> None:
    await holder.turn(100)
    await jump(store, holder, -HOUR_MS)
    after = await holder.turn(100)
    assert after.next_free_ms is not None
    assert 0 < after.next_free_ms <= AHEAD_MS + 1_500 + 200 + 2


async def test_a_slow_turn_is_no_jump(holder: Holder, store: Store) -> None:
    first = await holder.turn(100)
    await jump(store, holder, 10_000)
    holder.turned_at -= 10.0  # the holder too saw ten seconds pass
    after = await holder.turn(100)
    assert (after.jump_ms, granted(first), granted(after)) == (0, LIMIT.calls, LIMIT.calls)


# ---------------------------------------------------------------------- what a turn writes and hands over


async def test_changes_are_handed_over_once_and_loading_hands_over_all(holder: Holder, store: Store) -> None:
    write = Write()
    write.task(a_task())
    write.registration(a_registration(), now=NOW)
    await store.commit(write)
    first = await holder.turn(0)
    assert (first.changed, first.change) == ([keys.member(NAME)], 1)
    assert (await holder.turn(0, since=1)).changed == []
    assert (await holder.turn(0, all_changes=True)).changed == [keys.member(NAME)]


async def test_a_task_that_is_joined_is_handed_over_again(holder: Holder, store: Store) -> None:
    write = Write()
    write.task(a_task())
    write.registration(a_registration(), now=NOW)
    await store.commit(write)
    seen = (await holder.turn(0)).change
    joined = Write()
    joined.task(a_task(version=1))
    await store.commit(joined)
    again = await holder.turn(0, since=seen)
    assert (again.changed, again.change) == ([keys.member(NAME)], seen + 1)


async def test_looks_and_statuses_are_written_with_the_turn_and_read_back_with_the_task(
    holder: Holder, store: Store
) -> None:
    write = Write()
    write.task(a_task())
    write.registration(a_registration(), now=NOW)
    await store.commit(write)
    looks, key = Looks(polls=3, last_at=NOW, refusals=1, refused_at=NOW), keys.member(NAME)
    await holder.turn(0, looks={key: looks}, statuses={key: b'{"Status":"In-Queue"}'})
    assert await holder.lanes.tasks("default", [key, "lead.update:no"]) == {key: a_task(version=1, looks=looks)}
    assert await store.task_status(NAME) == b'{"Status":"In-Queue"}'


async def test_a_learned_limit_outlives_its_holder(holder: Holder, store: Store) -> None:
    learned = LearnedLimit(Limit(7, 3.0), said=LIMIT, at=NOW)
    await holder.lanes.learn(holder.fence, learned)
    heir = await held_by(store, "second")
    assert await heir.lanes.learned("default") == learned


async def test_a_turn_renews_the_lease(holder: Holder, store: Store, valkey: Valkey) -> None:
    await valkey.ask("ZADD", keys.LANES, 1, str(holder.fence.lane))
    await holder.turn(0)
    assert await LaneStore(store, "second").acquire(holder.fence.lane) is None
