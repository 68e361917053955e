"""Records that cannot be read, and lanes that fail: what is wrong harms itself alone, and everything else goes on."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay.context import Relay
from relay.domain.errors import UnreadableError
from relay.domain.outage import Outages
from relay.domain.registration import Registration, RegistrationState
from relay.domain.task import TaskState
from relay.services.expire import expire
from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from relay.store.lanes import LaneStore
from relay.store.write import Fence
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import Upstream, all_delivered, counted, states, wish, working

POLLS = LaneName(LaneKind.POLL, "default")
BROKEN = [b"3 {", b"none", b"3 []", b'3 {"state":"dreaming","registered_at":1,"deadline_at":2}']


def failed_lanes() -> float:
    return sum(counted("relay_lanes_failed_total", kind=kind) for kind in LaneKind)


@asynccontextmanager
async def damaged(relay: Relay, key: str, value: bytes = BROKEN[0]) -> AsyncIterator[None]:
    """Damage what stands there while the block runs."""
    whole = await relay.store.ask("GET", key)
    await relay.store.ask("SET", key, value)
    yield
    await relay.store.ask("SET", key, whole)


async def due_in_s(relay: Relay, id_: str) -> float:
    score = await relay.store.ask("ZSCORE", keys.due("default"), id_)
    return (float(score or 0) - await relay.store.now_ms()) / 1000


async def put_off(relay: Relay, id_: str) -> bool:
    return await due_in_s(relay, id_) > 3_000


async def lane(relay: Relay) -> Fence:
    fence = await LaneStore(relay.store, "first").acquire(POLLS)
    assert fence is not None
    return fence


@pytest.mark.parametrize("value", BROKEN)
async def test_a_registration_that_cannot_be_read_is_put_off_and_the_others_are_delivered(
    relay: Relay, receiver: Receiver, value: bytes
) -> None:
    unread, lanes = counted("relay_unreadable_records_total", kind="registration"), failed_lanes()
    bad, *good = [await wish(relay, "task", receiver.url(f"/{number}")) for number in range(4)]
    async with working(relay):
        async with damaged(relay, keys.registration(bad.id), value):
            await wait_until(lambda: all_delivered(relay, [one.id for one in good]))
            await wait_until(lambda: put_off(relay, bad.id))
            assert counted("relay_unreadable_records_total", kind="registration") > unread
            with pytest.raises(UnreadableError):
                await relay.store.registration(bad.id)
        await relay.store.ask("ZADD", keys.due("default"), 1, bad.id)
        await wait_until(lambda: all_delivered(relay, [bad.id]))
    assert failed_lanes() == lanes


async def test_a_delivery_whose_body_is_lost_is_put_off_and_the_others_are_delivered(
    relay: Relay, receiver: Receiver
) -> None:
    receiver.answer("/bad", 500)
    bad, good = [await wish(relay, name, receiver.url(f"/{name}")) for name in ("bad", "good")]
    async with working(relay):
        await wait_until(lambda: receiver.of("/bad"))
        await relay.store.ask("DEL", keys.body(bad.id))
        await wait_until(lambda: put_off(relay, bad.id))
        await wait_until(lambda: all_delivered(relay, [good.id]))


@pytest.mark.parametrize("value", BROKEN)
async def test_a_task_that_cannot_be_read_is_set_aside_and_the_others_are_polled(
    relay: Relay, receiver: Receiver, value: bytes
) -> None:
    unread, lanes = counted("relay_unreadable_records_total", kind="task"), failed_lanes()
    bad, good = [await wish(relay, name, receiver.url(f"/{name}")) for name in ("bad", "good")]
    async with damaged(relay, keys.task(bad.task_name), value), working(relay):
        await wait_until(lambda: all_delivered(relay, [good.id]))
        assert counted("relay_unreadable_records_total", kind="task") == unread + 1
        assert await states(relay, [bad.id]) == {RegistrationState.PENDING}
    assert failed_lanes() == lanes
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [bad.id]))


async def test_a_task_of_an_operation_that_this_version_does_not_know_is_left_to_those_who_do(
    relay: Relay, receiver: Receiver
) -> None:
    good = await wish(relay, "good", receiver.url())
    await relay.store.ask("ZADD", keys.pending("default"), 0.5, "lead.dream:task")
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [good.id]))
    assert await relay.store.ask("ZSCORE", keys.pending("default"), "lead.dream:task") == b"0.5"
    await relay.store.ask("DEL", keys.pending("default"))


async def test_a_task_that_is_damaged_while_it_is_polled_spends_no_more_of_the_budget(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    lanes = failed_lanes()
    await upstream.plan("bad", stuck=True)
    bad = await wish(relay, "bad", receiver.url("/bad"))

    async def polled() -> bool:
        return bool((await upstream.account())["arrivals"])

    async with working(relay):
        await wait_until(polled)
        async with damaged(relay, keys.task(bad.task_name)):
            unread = counted("relay_unreadable_records_total", kind="task")
            await upstream.plan("bad", finish_in_s=0, status="Success")
            await wait_until(lambda: counted("relay_unreadable_records_total", kind="task") > unread)
            arrivals = (await upstream.account())["arrivals"]
            good = await wish(relay, "good", receiver.url("/good"))
            await wait_until(lambda: all_delivered(relay, [good.id]))
            assert counted("relay_unreadable_records_total", kind="task") == unread + 1
            assert (await upstream.account())["arrivals"] - arrivals < 10
    assert failed_lanes() == lanes


async def waiting_for_one_task(relay: Relay) -> tuple[Registration, Registration]:
    late = await wish(relay, "task", "http://127.0.0.1:9/late", deadline_s=1)
    return late, await wish(relay, "task", "http://127.0.0.1:9/bad", deadline_s=1)


async def test_a_waiter_that_cannot_be_read_waits_on_when_the_deadline_of_the_others_passes(relay: Relay) -> None:
    late, bad = await waiting_for_one_task(relay)
    fence, now = await lane(relay), time.time() + 2
    async with damaged(relay, keys.registration(bad.id)):
        left, again_at = await expire(relay, fence, late.task_name, outages=Outages(), fresh_status=None, now=now)
    assert await states(relay, [late.id]) == {RegistrationState.DELIVERING}
    assert left is not None
    assert (left.state, left.waiters) == (TaskState.PENDING, (bad.id,))
    assert again_at == now + 3_600
    assert left.deadline_at == again_at


async def test_a_page_shows_what_can_be_read(relay: Relay) -> None:
    good, bad = await waiting_for_one_task(relay)
    async with damaged(relay, keys.registration(bad.id)):
        assert [one.id for one in await relay.store.registrations((bad.id, good.id))] == [good.id]


async def rest_ms(relay: Relay) -> float:
    return float(await relay.store.ask("ZSCORE", keys.LANES, str(POLLS))) - await relay.store.now_ms()


async def test_a_lane_that_fails_is_handed_back_and_rests_longer_each_time_while_others_go_on(
    relay: Relay, receiver: Receiver
) -> None:
    before = counted("relay_lanes_failed_total", kind="poll")
    bad = await wish(relay, "bad", receiver.url("/bad"))
    await relay.store.ask("HSET", keys.lane(POLLS), "outages", "none")
    async with working(relay):
        for failures in range(1, 4):
            await failed_again(relay, failures)
            assert 500 * 2 ** (failures - 1) < await rest_ms(relay) <= 1_000 * 2 ** (failures - 1)
            assert await relay.store.ask("HGET", keys.lane(POLLS), "holder") is None
            await wish(relay, f"news-{failures}", receiver.url("/news"))  # which does not end its rest
            assert await rest_ms(relay) > 0
        await relay.store.ask("HDEL", keys.lane(POLLS), "outages")
        await wait_until(lambda: all_delivered(relay, [bad.id]))
    assert await relay.store.ask("HGET", keys.lane(POLLS), "failures") is None
    assert counted("relay_lanes_failed_total", kind="poll") == before + 3


async def failed_again(relay: Relay, failures: int) -> None:
    async def counted_in_the_lane() -> bool:
        return bool(await relay.store.ask("HGET", keys.lane(POLLS), "failures") == str(failures).encode())

    await wait_until(counted_in_the_lane)


async def test_a_lane_of_a_kind_that_this_version_does_not_know_keeps_nobody_from_the_others(relay: Relay) -> None:
    await relay.store.ask("ZADD", keys.LANES, 1, "dream:default", 2, str(POLLS))
    assert await relay.lanes.due() == [POLLS]
    await relay.store.ask("DEL", keys.LANES)
