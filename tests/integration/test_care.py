"""Work that kills its worker: what holders write down while they go carefully, who is suspected, who is condemned."""

from dataclasses import replace

import pytest

from relay.context import Relay
from relay.domain.errors import FencedError
from relay.domain.registration import DeathReason, RegistrationState
from relay.domain.suspicion import SuspicionPolicy
from relay.lanes.care import Care
from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from relay.store.lanes import LaneStore
from relay.store.write import CLAIM_S, Fence
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import all_delivered, counted, states, wish, working

POLLS = LaneName(LaneKind.POLL, "default")
DELIVERIES = LaneName(LaneKind.DELIVERY, "default")
AT_ONCE = SuspicionPolicy(rest_s=0.0)


async def taken(relay: Relay, holder: str, lane: LaneName = POLLS) -> Fence:
    """Give the lane to `holder`, when its last one has vanished or handed it back."""
    await relay.store.ask("ZADD", keys.LANES, "XX", 1, str(lane))
    fence = await LaneStore(relay.store, holder).acquire(lane)
    assert fence is not None
    return fence


async def careful(relay: Relay, holder: str) -> tuple[Care, list[str]]:
    """Let a process of this name hold the lane; return its care and what it may not try."""
    process = replace(relay, suspicion=AT_ONCE, on_trial=set())
    care = Care(process, await taken(relay, holder))
    return care, await care.recall()


async def named(relay: Relay) -> dict[str, str]:
    found = await relay.store.ask("HGETALL", keys.suspects(POLLS))
    return {key.decode(): value.decode() for key, value in zip(found[::2], found[1::2], strict=True)}


async def test_in_ordinary_times_nothing_is_written_down(relay: Relay) -> None:
    care, _ = await careful(relay, "first")
    await care.begin("task")
    assert await named(relay) == {}
    await care.end("task")


async def test_three_deaths_in_a_row_condemn_what_was_under_way_and_nothing_beside_it(relay: Relay) -> None:
    first, _ = await careful(relay, "first")
    await first.begin("guilty")
    second, condemned = await careful(relay, "second")
    for key in ("guilty", "beside", "done"):
        await second.begin(key)
    await second.end("done")
    assert (condemned, await named(relay)) == ([], {"guilty": "1+", "beside": "1+"})

    third, condemned = await careful(relay, "third")
    assert (condemned, await named(relay)) == ([], {"guilty": "2", "beside": "2"})
    await third.begin("beside")
    assert third.rest_s("guilty") > 0  # one suspect at a time
    await third.end("beside")
    assert third.rest_s("guilty") == 0
    await third.begin("guilty")
    await third.begin("another")

    _, condemned = await careful(relay, "fourth")
    assert (condemned, await named(relay)) == (["guilty"], {"guilty": "3", "another": "2"})


async def test_a_suspect_rests_after_a_takeover_so_that_other_causes_can_show_themselves(relay: Relay) -> None:
    await taken(relay, "first")
    await relay.suspects.name(await taken(relay, "second"), "suspect", 1)
    care = Care(relay, await taken(relay, "third"))
    await care.recall()
    assert 0 < care.rest_s("suspect") <= relay.suspicion.rest_s
    assert care.rest_s("anything else") == 0


async def test_a_lane_that_was_handed_back_accuses_nobody(relay: Relay) -> None:
    await taken(relay, "first")
    fence = await taken(relay, "second")
    await relay.suspects.name(fence, "broken off", 1)
    await relay.suspects.name(fence, "suspect", 2)
    await LaneStore(relay.store, "second").release(fence)
    await careful(relay, "third")
    assert await named(relay) == {"suspect": "2"}


async def test_a_holder_that_takes_its_own_lane_again_was_out_of_reach_and_did_not_die(relay: Relay) -> None:
    await taken(relay, "first")
    await relay.suspects.name(await taken(relay, "second"), "under way", 2)
    await taken(relay, "second")
    assert await named(relay) == {"under way": "2"}


async def test_care_outlives_a_holder_that_hands_the_lane_back_and_ends_by_itself(relay: Relay) -> None:
    await taken(relay, "first")
    fence = await taken(relay, "second")
    await LaneStore(relay.store, "second").release(fence)
    care, _ = await careful(relay, "third")
    await care.begin("task")
    assert await named(relay) == {"task": "1+"}
    await relay.store.ask("HSET", keys.lane(POLLS), "careful", 1)
    care, _ = await careful(relay, "third")
    await care.begin("task")
    assert await named(relay) == {}


async def test_who_has_lost_the_lane_accuses_and_clears_nobody(relay: Relay) -> None:
    stale = await taken(relay, "first")
    await relay.suspects.name(await taken(relay, "second"), "task", 1)
    for write in (relay.suspects.name(stale, "another", 2), relay.suspects.clear(stale, "task")):
        with pytest.raises(FencedError):
            await write
    assert await named(relay) == {"task": "1+"}


async def test_a_task_that_kills_is_rejected_with_a_reason_and_the_others_go_on(
    relay: Relay, receiver: Receiver
) -> None:
    before = counted("relay_condemned_total", kind="poll")
    poison, other = [await wish(relay, name, receiver.url(f"/{name}")) for name in ("poison", "other")]
    await relay.suspects.name(await taken(relay, "dead"), keys.member(poison.task_name), 2)
    await relay.store.ask("ZADD", keys.LANES, "XX", 1, str(POLLS))
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [poison.id, other.id]))

    rejected = receiver.of("/poison")[0].message
    assert (rejected["type"], rejected["data"]["reason"]) == ("task.rejected", "kills_worker")
    assert receiver.of("/other")[0].message["type"] == "task.succeeded"
    assert await named(relay) == {}
    assert counted("relay_condemned_total", kind="poll") == before + 1


async def test_a_delivery_that_kills_is_a_dead_letter_and_the_others_go_on(relay: Relay, receiver: Receiver) -> None:
    before = counted("relay_deliveries_dead_total", reason="kills_worker")
    poison = await wish(relay, "task", receiver.url("/poison"))
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [poison.id]))
    late, other = [await wish(relay, "task", receiver.url(f"/{name}")) for name in ("late", "other")]
    await relay.suspects.name(await taken(relay, "dead", DELIVERIES), late.id, 2)
    await relay.store.ask("ZADD", keys.LANES, "XX", 1, str(DELIVERIES))
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [other.id]))
        assert await states(relay, [late.id]) == {RegistrationState.DEAD}

    dead = await relay.store.registration(late.id)
    assert dead is not None
    assert dead.death is DeathReason.KILLS_WORKER
    assert await relay.store.body(late.id) is not None  # it can be redelivered
    assert receiver.of("/late") == []
    assert counted("relay_deliveries_dead_total", reason="kills_worker") == before + 1


async def test_suspects_wait_for_their_turn_and_not_for_a_claim_to_lapse(relay: Relay, receiver: Receiver) -> None:
    first = await wish(relay, "task", receiver.url("/first"))
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [first.id]))
    suspects = [(await wish(relay, "task", receiver.url(f"/{number}"))).id for number in range(3)]
    fence = await taken(relay, "dead", DELIVERIES)
    for id_ in suspects:
        await relay.suspects.name(fence, id_, 1)
    await relay.store.ask("ZADD", keys.LANES, "XX", 1, str(DELIVERIES))
    async with working(replace(relay, suspicion=SuspicionPolicy(rest_s=0.2))):
        await wait_until(lambda: all_delivered(relay, suspects), within_s=CLAIM_S - 2)
