"""Lanes at work: a worker in this process, a real store, the sandbox and a receiver."""

import asyncio
import time
import zlib
from collections import Counter
from dataclasses import replace

import orjson

from relay.context import Relay
from relay.domain.registration import Registration
from relay.store import keys
from relay.store.lanes import LEASE_MS
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import UPSTREAM_KEY, Upstream, all_delivered, counted, wish, working
from tests.support.valkey import Valkey


async def test_any_number_of_waiters_cost_one_stream_of_polls_and_get_a_callback_each(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.plan("shared", finish_in_s=1.0, status="Success")
    ids = [
        (await wish(relay, "shared", receiver.url(f"/{number}"), client=client)).id
        for client in ("alice", "bob")
        for number in range(5)
    ]
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, ids))

    assert Counter(receiver.ids) == Counter(ids)
    one_stream = 50 * 1.0 + 10
    assert (await upstream.account())["arrivals"] <= one_stream


async def test_registering_for_a_final_task_delivers_at_once_and_costs_no_poll(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    async with working(relay):
        first = await wish(relay, "known", receiver.url("/first"))
        await wait_until(lambda: all_delivered(relay, [first.id]))
        polled = (await upstream.account())["arrivals"]
        second = await wish(relay, "known", receiver.url("/second"))
        await wait_until(lambda: all_delivered(relay, [second.id]))

    assert (await upstream.account())["arrivals"] == polled
    assert receiver.of("/first")[0].message["data"] == receiver.of("/second")[0].message["data"]


async def test_two_workers_share_the_lanes_and_one_takes_over_when_the_other_stops(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    reclaims = counted("relay_lease_reclaims_total")
    await upstream.behave(durations="fixed:1.5")
    for name in ("a", "b", "c", "d"):
        account = relay.default_account()
        assert account is not None
        await relay.accounts.put(replace(account, name=name, api_key=f"the upstream key of {name}"))
    async with working(relay):
        async with working(relay):
            ids = [(await wish(relay, f"task-{n}", receiver.url(), account="abcd"[n % 4])).id for n in range(40)]
            await wait_until(lambda: len(receiver.requests) > 4)
        await wait_until(lambda: all_delivered(relay, ids))

    assert Counter(receiver.ids) == Counter(ids)
    assert counted("relay_lease_reclaims_total") == reclaims


async def test_a_lane_whose_lease_is_renewed_while_lanes_are_counted_counts(relay: Relay, valkey: Valkey) -> None:
    """Else a worker that is alone would take itself to have one too many, and hand it back to nobody."""
    now_ms = int((await valkey.ask("TIME"))[0]) * 1000
    for lane in (b"poll:a", b"delivery:a"):
        await valkey.ask("ZADD", keys.LANES, now_ms + LEASE_MS + 2_000, lane)
    share = await relay.lanes.share(alive_s=60)
    await valkey.ask("DEL", keys.LANES)
    await relay.lanes.leave()
    assert share == 2


async def test_a_lane_with_nothing_left_to_do_is_given_up(relay: Relay, receiver: Receiver, valkey: Valkey) -> None:
    async with working(relay):
        registration = await wish(relay, "last", receiver.url())
        await wait_until(lambda: all_delivered(relay, [registration.id]))
        await wait_until(lambda: lanes_left(valkey, 0))


async def test_a_worker_that_is_stopped_at_any_moment_ends(relay: Relay) -> None:
    await wish(relay, "pending", "http://127.0.0.1:9/hook")
    for moments in range(150):
        async with asyncio.timeout(20), working(relay):
            for _ in range(moments):
                await asyncio.sleep(0)


async def lanes_left(valkey: Valkey, count: int) -> bool:
    return bool(await valkey.ask("ZCARD", keys.LANES) == count)


async def test_what_arq_forgets_the_sweep_asks_for_again(relay: Relay, receiver: Receiver, valkey: Valkey) -> None:
    registration = await wish(relay, "forgotten", receiver.url())
    for key in await valkey.ask("KEYS", "*arq*"):
        await valkey.ask("DEL", key)
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [registration.id]))


async def test_a_status_that_is_not_final_is_kept(relay: Relay, upstream: Upstream, receiver: Receiver) -> None:
    await upstream.plan("slow", stuck=True)
    registration = await wish(relay, "slow", receiver.url())
    async with working(relay):
        await wait_until(lambda: relay.store.task_status(registration.task_name))

        task = await relay.store.task(registration.task_name)
        assert task is not None
        assert task.looks.polls >= 1
        assert receiver.requests == []


async def test_what_one_holder_has_learned_the_next_one_knows(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(durations="fixed:0.5")
    async with working(relay):
        ids = [(await wish(relay, f"task-{number}", receiver.url())).id for number in range(10)]
        await wait_until(lambda: all_delivered(relay, ids))
    lane = keys.LaneName(keys.LaneKind.POLL, "default")
    fence = await relay.lanes.acquire(lane)
    assert fence is not None
    model = await relay.lanes.model(fence)
    assert model is not None
    assert sum(orjson.loads(zlib.decompress(model))["lead.update"]["by_age"]["events"]) > 5


async def test_a_pending_task_is_shown_with_an_estimate(relay: Relay, upstream: Upstream, receiver: Receiver) -> None:
    await upstream.plan("slow", stuck=True)
    registration = await wish(relay, "slow", receiver.url())
    async with working(relay):
        await wait_until(lambda: looked_at(relay, registration))
    task = await relay.store.task(registration.task_name)
    assert task is not None
    assert task.looks.last_at is not None
    assert task.looks.eta_at is not None
    assert task.looks.next_at is not None
    assert task.registered_at < task.looks.next_at < task.looks.last_at + 60
    assert task.looks.last_at - 1 < task.looks.eta_at


async def looked_at(relay: Relay, registration: Registration) -> bool:
    task = await relay.store.task(registration.task_name)
    return task is not None and task.looks.polls > 2


async def test_a_daily_limit_is_spread_over_the_day(relay: Relay, upstream: Upstream, receiver: Receiver) -> None:
    account = relay.default_account()
    assert account is not None
    gone_s = time.time() % 86_400
    calls = max(
        1, min(3, int((86_400 - gone_s) * 3_600 / (gone_s + 3_600) / 30))
    )  # half a minute apart, whatever the hour
    await relay.accounts.put(replace(account, name="frugal", daily_limit=calls, api_key=UPSTREAM_KEY))
    await upstream.plan("slow", stuck=True)
    await wish(relay, "slow", receiver.url(), account="frugal")
    async with working(relay):
        await wait_until(lambda: spent(relay, "frugal", 1))
        lane = keys.lane(keys.LaneName(keys.LaneKind.POLL, "frugal"))
        turned_ms = int(await relay.store.ask("HGET", lane, "turned"))
        await wait_until(lambda: turned_since(relay, lane, turned_ms + 1_500))
        assert await arrivals(upstream, 1)


async def turned_since(relay: Relay, lane: str, at_ms: int) -> bool:
    return int(await relay.store.ask("HGET", lane, "turned")) > at_ms


async def arrivals(upstream: Upstream, count: int) -> bool:
    return bool((await upstream.account())["arrivals"] == count)


async def spent(relay: Relay, account: str, calls: int) -> bool:
    lane = keys.LaneName(keys.LaneKind.POLL, account)
    turned, found = await relay.store.ask("HMGET", keys.lane(lane), "turned", "spent")
    return turned is not None and found is not None and int(found) == calls


async def test_a_holder_that_was_cut_off_past_its_lease_goes_on_where_nobody_took_the_lane(
    relay: Relay, upstream: Upstream, receiver: Receiver, valkey: Valkey
) -> None:
    reclaims = counted("relay_lease_reclaims_total")
    await upstream.plan("task", stuck=True)
    registration = await wish(relay, "task", receiver.url())
    lane = keys.lane(keys.LaneName(keys.LaneKind.POLL, "default"))
    async with working(relay):
        await wait_until(lambda: looked_at(relay, registration))
        epoch = await valkey.ask("HGET", lane, "epoch")
        valkey.freeze()
        cut_off_at = time.monotonic()
        await wait_until(lambda: time.monotonic() > cut_off_at + LEASE_MS / 1000 + 0.5)
        silent = (await upstream.account())["arrivals"]
        await wait_until(lambda: time.monotonic() > cut_off_at + LEASE_MS / 1000 + 1.0)
        assert (await upstream.account())["arrivals"] == silent
        valkey.thaw()
        await wait_until(lambda: polled_since(upstream, silent))
        assert await valkey.ask("HGET", lane, "epoch") == epoch
    assert counted("relay_lease_reclaims_total") == reclaims


async def polled_since(upstream: Upstream, before: int) -> bool:
    return bool((await upstream.account())["arrivals"] > before)
