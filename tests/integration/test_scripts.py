"""Each script is one atomic write: commit, acquire, release and claim on a real Valkey. Turns have their own file."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from relay.context import Relay, open_relay
from relay.domain.errors import FencedError
from relay.domain.operations import TaskOutcome
from relay.domain.registration import RegistrationState, after_task, registration_id
from relay.domain.task import TaskState
from relay.store import keys
from relay.store.deliveries import Claims, DeliveryStore
from relay.store.keys import LaneKind, LaneName
from relay.store.lanes import FORGOTTEN_MS, LEASE_MS, LaneStore
from relay.store.store import Conflict, Store
from relay.store.write import CLAIM_S, Fence, Write
from tests.support import relays
from tests.support.builders import NAME, NOW, URL, a_registration, a_task
from tests.support.clock import wait_until
from tests.support.relays import counted, wish
from tests.support.valkey import Valkey

POLLS = LaneName(LaneKind.POLL, "default")
DELIVERIES = LaneName(LaneKind.DELIVERY, "default")
CALLBACK = "http://127.0.0.1:9/hook"


@pytest.fixture
async def relay(valkey: Valkey) -> AsyncIterator[Relay]:
    """Open a relay without an upstream: nothing here polls."""
    async with open_relay(relays.settings(valkey.url)) as relay:
        yield relay


@pytest.fixture
def lanes(store: Store) -> LaneStore:
    return LaneStore(store, "first")


@pytest.fixture
def others(store: Store) -> LaneStore:
    return LaneStore(store, "second")


@pytest.fixture
def deliveries(store: Store) -> DeliveryStore:
    return DeliveryStore(store)


async def acquired(lanes: LaneStore, lane: LaneName) -> Fence:
    fence = await lanes.acquire(lane)
    assert fence is not None
    return fence


async def lapse(store: Store, lane: LaneName) -> None:
    """Let the lane's lease pass, as time would."""
    await store.ask("ZADD", keys.LANES, "XX", 1, str(lane))


async def now_ms(store: Store) -> int:
    seconds, micros = await store.ask("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


async def in_ms(store: Store, zset: str, member: str) -> float:
    """Return in how many ms of the store's clock the member is due."""
    return float(await store.ask("ZSCORE", zset, member)) - await now_ms(store)


# ---------------------------------------------------------------------- commit


async def test_registering_is_one_script_that_writes_record_task_and_wake(relay: Relay, valkey: Valkey) -> None:
    await wish(relay, "first, which teaches the store the script".replace(" ", "_"), CALLBACK)
    await valkey.ask("FLUSHDB")
    await valkey.ask("CONFIG", "RESETSTAT")
    async with Redis.from_url(valkey.url) as redis, redis.pubsub() as channel:
        await channel.subscribe(keys.WANT)
        registration = await wish(relay, "7", CALLBACK)
        await channel.get_message(timeout=5)
        woken = await channel.get_message(timeout=5)
    calls = {name: one["calls"] for name, one in (await valkey.ask("INFO", "commandstats")).items()}
    assert calls["cmdstat_evalsha"] == 1
    assert woken is not None
    assert woken["data"] == str(POLLS).encode()
    task = await relay.store.task(registration.task_name)
    assert task is not None
    assert task.waiters == (registration.id,)
    assert await relay.store.registration(registration.id) == replace(registration, version=1)
    assert await relay.store.ask("ZSCORE", keys.pending("default"), "lead.update:7") == b"1"
    assert await in_ms(relay.store, keys.LANES, str(POLLS)) <= 0


async def test_registering_again_finds_the_first(relay: Relay) -> None:
    first = await wish(relay, "7", CALLBACK)
    again = await wish(relay, "7", CALLBACK, deadline_s=1.0)
    assert again == replace(first, version=1)


async def test_clients_that_join_one_task_at_once_all_wait_for_it(relay: Relay) -> None:
    joined = await asyncio.gather(*(wish(relay, "7", f"{CALLBACK}/{number}") for number in range(20)))
    task = await relay.store.task(joined[0].task_name)
    assert task is not None
    assert sorted(task.waiters) == sorted(registration.id for registration in joined)
    assert await relay.store.ask("ZCARD", keys.pending("default")) == 1


async def test_a_joined_task_has_the_earliest_deadline_and_the_first_submission(relay: Relay) -> None:
    await wish(relay, "7", CALLBACK, deadline_s=100.0)
    first = await wish(relay, "7", f"{CALLBACK}/1", deadline_s=50.0, submitted_at="2026-11-23T10:00:00Z")
    await wish(relay, "7", f"{CALLBACK}/2", deadline_s=200.0, submitted_at="2026-11-23T11:00:00Z")
    task = await relay.store.task(first.task_name)
    assert task is not None
    assert (task.deadline_at, task.submitted_at) == (first.deadline_at, first.submitted_at)


async def test_a_settled_task_hands_all_its_waiters_to_delivery(store: Store) -> None:
    waiting = [a_registration(id=registration_id(client, NAME, URL), client=client) for client in ("alice", "bob")]
    ids = tuple(registration.id for registration in waiting)
    pending = Write()
    pending.task(a_task(waiters=ids))
    for registration in waiting:
        pending.registration(registration, now=NOW)
    assert await store.commit(pending) is None
    settled = Write()
    final = {"state": TaskState.FINAL, "outcome": TaskOutcome.SUCCEEDED, "final_at": NOW}
    task = a_task(waiters=ids, version=1, **final)
    settled.task(task, waiting=[after_task(registration, task) for registration in waiting])
    assert await store.commit(settled) is None
    assert set(await store.ask("ZRANGE", keys.due("default"), 0, -1)) == {id_.encode() for id_ in ids}
    assert await store.ask("EXISTS", keys.pending("default"), keys.looks("default")) == 0
    assert await in_ms(store, keys.LANES, str(DELIVERIES)) <= 0


async def test_a_conflict_writes_nothing_and_gives_the_present_values(store: Store, valkey: Valkey) -> None:
    first = Write()
    first.task(a_task())
    first.registration(a_registration(), now=NOW)
    assert await store.commit(first) is None
    before = await everything(valkey)
    other = a_registration(id=registration_id("bob", NAME, URL), client="bob")
    late = Write()
    late.registration(other, now=NOW)
    late.task(a_task(waiters=(other.id,)))
    late.blob(keys.status(NAME), b"{}", kept=True)
    late.due("default", other.id, delay_s=0.0)
    conflict = await store.commit(late)
    assert isinstance(conflict, Conflict)
    assert conflict.task(NAME) == a_task(version=1)
    assert conflict.registration(other.id) is None
    assert await everything(valkey) == before


async def everything(valkey: Valkey) -> dict[bytes, bytes]:
    """Return every key and what it holds."""
    return {key: await valkey.ask("DUMP", key) for key in await valkey.ask("KEYS", "*")}


async def test_of_many_writers_with_one_version_one_wins(store: Store) -> None:
    first = Write()
    first.task(a_task())
    first.registration(a_registration(), now=NOW)
    await store.commit(first)
    writes = [Write() for _ in range(50)]
    for number, write in enumerate(writes):
        write.task(a_task(version=1, deadline_at=NOW + number))
    outcomes = await asyncio.gather(*map(store.commit, writes))
    winner = next(number for number, outcome in enumerate(outcomes) if outcome is None)
    assert outcomes.count(None) == 1
    assert await store.task(NAME) == a_task(version=2, deadline_at=NOW + winner)


async def test_a_holder_of_yesterday_writes_nothing_and_is_counted(
    store: Store, lanes: LaneStore, others: LaneStore, valkey: Valkey, deliveries: DeliveryStore
) -> None:
    stale = await acquired(lanes, POLLS)
    await lapse(store, POLLS)
    fresh = await acquired(others, POLLS)
    before, fenced = await everything(valkey), counted("relay_fenced_commits_total")
    for fence in (stale, Fence(POLLS, "")):
        write = Write(fence)
        write.task(a_task())
        if fence.epoch:
            with pytest.raises(FencedError):
                await store.commit(write)
    with pytest.raises(FencedError):
        await deliveries.claim(stale, want=1)
    await lanes.release(stale)
    assert await everything(valkey) == before
    assert counted("relay_fenced_commits_total") == fenced + 2
    allowed = Write(fresh)
    allowed.task(a_task())
    allowed.registration(a_registration(), now=NOW)
    assert await store.commit(allowed) is None


# ---------------------------------------------------------------------- acquire and release


async def test_a_held_lane_is_not_taken(lanes: LaneStore, others: LaneStore) -> None:
    await acquired(lanes, POLLS)
    assert await others.acquire(POLLS) is None
    assert await lanes.acquire(POLLS) is None


async def test_a_lane_has_one_taker_however_many_try(store: Store) -> None:
    takers = [LaneStore(store, f"worker {number}") for number in range(20)]
    fences = await asyncio.gather(*(taker.acquire(POLLS) for taker in takers))
    assert len([fence for fence in fences if fence is not None]) == 1


async def test_a_lapsed_lane_is_taken_over_under_a_greater_epoch_and_counted(
    store: Store, lanes: LaneStore, others: LaneStore
) -> None:
    first = await acquired(lanes, POLLS)
    reclaims = counted("relay_lease_reclaims_total")
    await lapse(store, POLLS)
    second = await acquired(others, POLLS)
    assert int(second.epoch) > int(first.epoch)
    assert counted("relay_lease_reclaims_total") == reclaims + 1
    assert LEASE_MS - 1_000 < await in_ms(store, keys.LANES, str(POLLS)) <= LEASE_MS


async def test_the_epoch_grows_even_when_the_store_has_lost_the_last_one(store: Store, lanes: LaneStore) -> None:
    first = await acquired(lanes, POLLS)
    await store.ask("DEL", keys.lane(POLLS), keys.LANES)
    await store.ask("PING")
    second = await acquired(lanes, POLLS)
    assert int(second.epoch) >= int(first.epoch)


async def test_a_lane_handed_back_with_work_is_to_be_had_at_once(
    store: Store, lanes: LaneStore, others: LaneStore
) -> None:
    fence = await acquired(lanes, POLLS)
    write = Write(fence)
    write.task(a_task())
    write.registration(a_registration(), now=NOW)
    await store.commit(write)
    reclaims = counted("relay_lease_reclaims_total")
    await lanes.release(fence)
    assert await others.due() == [POLLS]
    assert await others.acquire(POLLS) is not None
    assert counted("relay_lease_reclaims_total") == reclaims


async def test_an_empty_lane_handed_back_is_no_lane_and_its_epoch_is_remembered_for_a_day(
    store: Store, lanes: LaneStore
) -> None:
    fence = await acquired(lanes, POLLS)
    await lanes.release(fence)
    assert await store.ask("EXISTS", keys.LANES) == 0
    assert FORGOTTEN_MS - 60_000 < await store.ask("PTTL", keys.lane(POLLS)) <= FORGOTTEN_MS
    assert await store.ask("HGET", keys.lane(POLLS), "epoch") == fence.epoch.encode()


async def test_a_delivery_lane_handed_back_early_is_wanted_when_its_first_delivery_is_due(
    store: Store, lanes: LaneStore
) -> None:
    await due_registration(store, delay_s=60.0)
    await lanes.release(await acquired(lanes, DELIVERIES))
    assert await lanes.due() == []
    assert 50_000 < await in_ms(store, keys.LANES, str(DELIVERIES)) <= 60_000
    assert 50 < (await lanes.next_due_s() or 0) <= 60


async def test_what_becomes_due_earlier_calls_the_lane_back(store: Store, lanes: LaneStore) -> None:
    await due_registration(store, delay_s=60.0)
    await lanes.release(await acquired(lanes, DELIVERIES))
    await due_registration(store, delay_s=0.0, client="bob")
    assert await lanes.due() == [DELIVERIES]


async def test_workers_share_the_lanes_evenly_and_one_that_leaves_counts_no_more(
    store: Store, lanes: LaneStore, others: LaneStore
) -> None:
    await store.ask("ZADD", keys.LANES, *(word for number in range(7) for word in (1, f"poll:{number}")))
    assert await lanes.share(alive_s=10.0) == 7
    assert [await others.share(alive_s=10.0), await lanes.share(alive_s=10.0)] == [4, 4]
    await others.leave()
    assert await lanes.share(alive_s=0.0) == 7
    assert await others.share(alive_s=0.0) == 7
    await others.leave()
    await store.ask("DEL", keys.LANES)


# ---------------------------------------------------------------------- claim


async def due_registration(
    store: Store, *, delay_s: float, client: str = "alice", url: str = URL, metadata: str = "{}"
) -> str:
    """Write a delivering registration, due in `delay_s`; return its id."""
    registration = a_registration(
        id=registration_id(client, NAME, url),
        client=client,
        callback_url=url,
        metadata=metadata,
        state=RegistrationState.DELIVERING,
        outcome=TaskOutcome.SUCCEEDED,
        final_at=NOW,
        due_at=NOW + delay_s,
    )
    write = Write()
    write.registration(registration, now=NOW)
    assert await store.commit(write) is None
    return registration.id


async def test_what_is_due_is_claimed_once_and_what_is_not_yet_is_left(
    store: Store, lanes: LaneStore, deliveries: DeliveryStore
) -> None:
    now = await due_registration(store, delay_s=0.0)
    later = await due_registration(store, delay_s=5.0, client="bob")
    fence = await acquired(lanes, DELIVERIES)
    claims = await deliveries.claim(fence, want=10)
    assert claims.claimed == [now]
    assert claims.next_due_s is not None
    assert 0 < claims.next_due_s <= 5
    assert (await deliveries.claim(fence, want=10)).claimed == []
    assert CLAIM_S - 1 < await in_ms(store, keys.due("default"), now) / 1000 <= CLAIM_S
    assert 0 < await in_ms(store, keys.due("default"), later) <= 5_000


async def test_a_claim_that_lapses_falls_due_again(
    store: Store, lanes: LaneStore, others: LaneStore, deliveries: DeliveryStore
) -> None:
    id_ = await due_registration(store, delay_s=0.0)
    assert (await deliveries.claim(await acquired(lanes, DELIVERIES), want=1)).claimed == [id_]
    await store.ask("ZADD", keys.due("default"), "XX", 1, id_)  # as if the length of a claim had passed
    await lapse(store, DELIVERIES)
    assert (await deliveries.claim(await acquired(others, DELIVERIES), want=1)).claimed == [id_]


async def ranked_registrations(store: Store, count: int) -> list[str]:
    """Make registrations of so many clients due; return their ids, the one due for longest first."""
    ids = [await due_registration(store, delay_s=0.0, client=str(number)) for number in range(count)]
    for rank, id_ in enumerate(ids):
        await store.ask("ZADD", keys.due("default"), rank, id_)
    return ids


async def test_no_more_is_claimed_than_is_wanted_from_both_ends(
    store: Store, lanes: LaneStore, deliveries: DeliveryStore
) -> None:
    ids = await ranked_registrations(store, 7)
    fence = await acquired(lanes, DELIVERIES)
    claimed = [(await deliveries.claim(fence, want=want)).claimed for want in (0, 3, 2, 4)]
    assert claimed == [[], [ids[0], ids[1], ids[6]], [ids[2], ids[5]], [ids[3], ids[4]]]


async def test_what_is_parked_is_out_of_the_way_until_its_place_is_recalled_from_both_ends(
    store: Store, lanes: LaneStore, deliveries: DeliveryStore
) -> None:
    ids = await ranked_registrations(store, 5)
    fence = await acquired(lanes, DELIVERIES)
    here, there = "https://a.example", "https://a.example.org"
    await deliveries.claim(fence, want=5)
    parked = await deliveries.claim(fence, want=0, park=[*((here, id_) for id_ in ids[:4]), (there, ids[4])])
    assert (parked.next_due_s, await deliveries.parked_places(fence)) == (None, {here, there})
    assert (await deliveries.claim(fence, want=9)).claimed == []

    claims = await deliveries.claim(fence, want=9, recall=[(there, 1), (here, 3), ("https://a", 9)])
    assert (claims.claimed, claims.recalled) == ([], [[ids[4]], [ids[0], ids[3], ids[1]], []])
    assert CLAIM_S - 1 < await in_ms(store, keys.due("default"), ids[0]) / 1000 <= CLAIM_S
    assert (await deliveries.claim(fence, want=0, recall=[(here, 9)])).recalled == [[ids[2]]]
    assert await deliveries.parked_places(fence) == set()


async def test_parking_twice_is_parking_once(store: Store, lanes: LaneStore, deliveries: DeliveryStore) -> None:
    id_ = await due_registration(store, delay_s=0.0)
    fence = await acquired(lanes, DELIVERIES)
    for _ in range(2):  # the second after an answer that was lost
        await deliveries.claim(fence, want=0, park=[("client alice", id_)])
    assert (await deliveries.claim(fence, want=0, recall=[("client alice", 9)])).recalled == [[id_]]


async def test_those_of_a_crowd_are_parked_unseen_and_nobody_else(
    store: Store, lanes: LaneStore, deliveries: DeliveryStore
) -> None:
    flood = [await due_registration(store, delay_s=0.0, client="flood", url=f"{URL}/{number}") for number in range(5)]
    hung = [await due_registration(store, delay_s=0.0, url=f"https://hung.example/{number}") for number in range(3)]
    others = [
        await due_registration(store, delay_s=0.0, url=url, client=client, metadata='{"client":"flood"}')
        for client, url in (("alice", "https://hung.example.org/"), ("flood2", URL), ('"client":"flood"', URL))
    ]
    fence = await acquired(lanes, DELIVERIES)
    claims = await deliveries.claim(fence, want=20, crowds=["client flood", "https://hung.example"])
    assert sorted(claims.claimed) == sorted(others)
    again = await deliveries.claim(fence, want=0, recall=[("client flood", 9), ("https://hung.example", 9)])
    assert [sorted(ids) for ids in again.recalled] == [sorted(flood), sorted(hung)]


async def test_one_that_is_due_again_is_not_recalled_before_its_time(
    store: Store, lanes: LaneStore, deliveries: DeliveryStore
) -> None:
    first, second = await ranked_registrations(store, 2)
    fence = await acquired(lanes, DELIVERIES)
    await deliveries.claim(fence, want=0, park=[("client 0", first), ("client 0", second)])
    tried = Write(fence)
    tried.due("default", first, delay_s=60.0)  # it was being tried all the same, and failed
    assert await store.commit(tried) is None
    assert (await deliveries.claim(fence, want=0, recall=[("client 0", 1)])).recalled == [[second]]
    assert await in_ms(store, keys.due("default"), first) > 50_000


async def test_a_lane_with_parked_deliveries_wants_its_next_holder_at_once(
    store: Store, lanes: LaneStore, others: LaneStore, deliveries: DeliveryStore
) -> None:
    id_ = await due_registration(store, delay_s=0.0)
    await due_registration(store, delay_s=60.0, client="bob")
    fence = await acquired(lanes, DELIVERIES)
    await deliveries.claim(fence, want=0, park=[("client alice", id_)])
    await lanes.release(fence)
    assert await others.due() == [DELIVERIES]
    assert await deliveries.parked_places(await acquired(others, DELIVERIES)) == {"client alice"}


async def test_a_claim_renews_the_lease(
    store: Store, lanes: LaneStore, others: LaneStore, deliveries: DeliveryStore
) -> None:
    fence = await acquired(lanes, DELIVERIES)
    await lapse(store, DELIVERIES)
    assert await deliveries.claim(fence, want=0) == Claims([], [], None)
    assert await others.acquire(DELIVERIES) is None


async def test_a_wake_for_a_held_lane_reaches_its_holder_once_until_it_looks(
    store: Store, lanes: LaneStore, valkey: Valkey, deliveries: DeliveryStore
) -> None:
    fence = await acquired(lanes, DELIVERIES)
    async with Redis.from_url(valkey.url) as redis, redis.pubsub() as channel:
        heard: list[bytes] = []

        async def has_heard(count: int) -> bool:
            message = await channel.get_message(timeout=0.01)
            if message is not None and message["type"] == "message":
                heard.append(message["data"])
            return len(heard) >= count

        await channel.subscribe(keys.STIR)
        for client in ("alice", "bob"):
            await due_registration(store, delay_s=0.0, client=client)
        await deliveries.claim(fence, want=2)
        await due_registration(store, delay_s=0.0, client="carol")
        await wait_until(lambda: has_heard(2))
    assert heard == [str(DELIVERIES).encode()] * 2
