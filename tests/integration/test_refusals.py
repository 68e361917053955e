"""What the upstream refuses: for rate, for a wrong key or path, or for one id alone."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from relay.context import Relay
from relay.domain.gate import GatePolicy
from relay.domain.registration import RegistrationState
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import Upstream, all_delivered, counted, states, wish, working

BRISK = GatePolicy(probe_s=0.3, backoff_s=0.05, max_backoff_s=0.2)


@asynccontextmanager
async def working_briskly(relay: Relay) -> AsyncIterator[None]:
    async with working(replace(relay, gates=BRISK)):
        yield


@pytest.mark.parametrize("shape", ["429", "200", "403"])
async def test_a_refusal_for_rate_is_counted_by_its_shape_and_its_limit_is_kept_to(
    relay: Relay, upstream: Upstream, receiver: Receiver, shape: str
) -> None:
    before = counted("relay_upstream_throttled_total", account="default", shape=shape)
    await upstream.behave(limit="5/1", refusal=shape, durations="fixed:2")
    ids = [(await wish(relay, f"task-{number}", receiver.url())).id for number in range(4)]
    async with working_briskly(relay):
        await wait_until(lambda: all_delivered(relay, ids))

    refused = (await upstream.account())["refused"]
    assert counted("relay_upstream_throttled_total", account="default", shape=shape) - before == refused[shape]
    assert counted("relay_upstream_budget_limit", account="default") == 5


@pytest.mark.parametrize("fault", ["401", "403", "404"])
async def test_an_account_refused_for_every_id_is_paused_and_goes_on_when_mended(
    relay: Relay, upstream: Upstream, receiver: Receiver, fault: str
) -> None:
    await upstream.behave(faults=[fault])
    ids = [(await wish(relay, f"task-{number}", receiver.url())).id for number in range(8)]
    async with working_briskly(relay):
        await wait_until(lambda: counted("relay_accounts_paused") == 1)
        await upstream.behave(faults=[])
        await wait_until(lambda: all_delivered(relay, ids))
        assert counted("relay_accounts_paused") == 0

    assert {received.message["type"] for received in receiver.requests} == {"task.succeeded"}


async def test_one_id_refused_while_others_are_answered_is_rejected(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(faults=[{"fault": "404", "request_id": "bad"}])
    await upstream.plan("good", stuck=True)
    rejected = await wish(relay, "bad", receiver.url())
    await wish(relay, "good", receiver.url())
    async with working_briskly(relay):
        await wait_until(lambda: all_delivered(relay, [rejected.id]), within_s=30)

    assert receiver.requests[0].message["type"] == "task.rejected"
    assert receiver.requests[0].message["data"] == {"RequestID": "bad", "TaskStatus": None, "reason": "http 404"}


@pytest.mark.parametrize(
    "fault", ["500", "502", "reset", "garbage", "wrong_id", "no_task_status", "unlisted_status", "truncated", "huge"]
)
async def test_a_sick_upstream_settles_nothing_and_is_asked_again_when_well(
    relay: Relay, upstream: Upstream, receiver: Receiver, fault: str
) -> None:
    await upstream.behave(faults=[fault], durations="fixed:0")
    registration = await wish(relay, "task", receiver.url())
    async with working_briskly(relay):
        await wait_until(lambda: polled(upstream, 5))
        assert receiver.requests == []
        await upstream.behave(faults=[])
        await wait_until(lambda: all_delivered(relay, [registration.id]))

    assert (await upstream.account())["worst_window"] <= 50


async def polled(upstream: Upstream, count: int) -> bool:
    return bool((await upstream.account())["arrivals"] >= count)


async def test_deadlines_stand_still_while_the_upstream_is_down_whoever_holds_the_lane(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(faults=["502"], durations="fixed:0")
    await upstream.plan("stuck", stuck=True)
    ended = await wish(relay, "ended", receiver.url("/ended"), deadline_s=3.0)
    stuck = await wish(relay, "stuck", receiver.url("/stuck"), deadline_s=3.0)
    async with working_briskly(relay):
        await wait_until(lambda: time.time() > ended.deadline_at + 0.5)
    assert await states(relay, [ended.id, stuck.id]) == {RegistrationState.PENDING}
    await upstream.behave(faults=[])
    async with working_briskly(relay):
        await wait_until(lambda: all_delivered(relay, [ended.id, stuck.id]))

    assert receiver.of("/ended")[0].message["type"] == "task.succeeded"
    expired = await relay.store.registration(stuck.id)
    assert receiver.of("/stuck")[0].message["type"] == "task.expired"
    assert expired is not None
    assert expired.final_at is not None
    assert expired.final_at > stuck.deadline_at + 3.0
