"""What the metrics say of an account's budget, and of the time that polls wait and take: what the upstream has seen."""

import time
from dataclasses import replace
from functools import partial

from relay.context import Relay
from relay.domain.budget import Limit
from tests.support.clock import wait_until
from tests.support.relays import UPSTREAM_KEY, Upstream, counted, wish, working

NOBODY = "http://127.0.0.1:9/"
WAIT, DURATION = "relay_upstream_gate_wait_seconds", "relay_upstream_request_duration_seconds"


async def limited(relay: Relay, limit: str) -> None:
    """Hold the default account to this limit."""
    account = relay.default_account()
    assert account is not None
    await relay.accounts.put(replace(account, limit=Limit.parse(limit)))
    relay.forget_accounts()


async def arrived_at(upstream: Upstream) -> list[float]:
    found: list[float] = (await upstream.account(UPSTREAM_KEY))["arrived_at"]
    return found


async def has_arrived(upstream: Upstream, count: int) -> bool:
    return len(await arrived_at(upstream)) >= count


def budget(part: str) -> float:
    return counted(f"relay_upstream_budget_{part}", account="default")


async def test_the_budget_in_use_is_what_the_upstream_counted_in_the_window(relay: Relay, upstream: Upstream) -> None:
    await limited(relay, "50/30")
    async with working(relay):
        for count in (1, 2, 3):
            await upstream.plan(f"task-{count}", finish_in_s=0.0, status="Success")
            await wish(relay, f"task-{count}", NOBODY)
            await wait_until(partial(has_arrived, upstream, count))
        await wait_until(lambda: budget("in_use") == 3)  # what was granted and not needed is given back
        assert (budget("limit"), len(await arrived_at(upstream))) == (50, 3)
    assert budget("in_use") == 0


async def test_a_budget_that_is_used_up_is_in_use_to_its_limit(relay: Relay, upstream: Upstream) -> None:
    await limited(relay, "5/2")
    for number in range(5):
        await upstream.plan(f"task-{number}", stuck=True)
        await wish(relay, f"task-{number}", NOBODY)
    async with working(relay):
        await wait_until(lambda: has_arrived(upstream, 6))
        await wait_until(lambda: budget("in_use") == budget("limit") == 5)
        assert (await upstream.account(UPSTREAM_KEY))["worst_window"] <= 5


async def test_polls_that_wait_for_the_limit_wait_as_long_as_the_upstream_sees_them_apart(
    relay: Relay, upstream: Upstream
) -> None:
    await limited(relay, "5/1")
    polls, waited_s = counted(f"{WAIT}_count"), counted(f"{WAIT}_sum")
    for number in range(20):
        await upstream.plan(f"task-{number}", stuck=True)
        await wish(relay, f"task-{number}", NOBODY)
    begun_at = time.monotonic()
    async with working(relay):
        await wait_until(lambda: has_arrived(upstream, 15))
    took_s = time.monotonic() - begun_at

    arrived = await arrived_at(upstream)
    assert counted(f"{WAIT}_count") - polls == len(arrived)
    assert arrived[-1] - arrived[0] - 0.5 <= counted(f"{WAIT}_sum") - waited_s <= took_s


async def test_a_poll_takes_as_long_as_the_upstream_takes_to_answer(relay: Relay, upstream: Upstream) -> None:
    delay_s = 0.5
    await limited(relay, "1/1")  # so that one is answered before the next is sent
    await upstream.behave(faults=[{"fault": "slow", "delay_s": delay_s}])
    await upstream.plan("task", stuck=True)
    polls, passed_s = counted(f"{DURATION}_count"), counted(f"{DURATION}_sum")
    await wish(relay, "task", NOBODY)
    begun_at = time.monotonic()
    async with working(relay):
        await wait_until(lambda: has_arrived(upstream, 3))
    took_s = time.monotonic() - begun_at

    calls = counted(f"{DURATION}_count") - polls
    assert calls == len(await arrived_at(upstream))
    assert delay_s * calls <= counted(f"{DURATION}_sum") - passed_s <= took_s
