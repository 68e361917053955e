"""The metrics call as a hint, against the sandbox: off unless asked for, within the budget, never a result."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from relay.context import Relay, open_relay
from relay.domain.backlog import EVERY, HintOutcome
from relay.domain.registration import Registration
from relay.settings import Settings
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import UPSTREAM_KEY, Upstream, all_delivered, counted, wish, working

TASKS = 2 * EVERY


@pytest.fixture
async def hinted(settings: Settings) -> AsyncIterator[Relay]:
    """Open a relay that heeds the metrics call."""
    async with open_relay(settings.model_copy(update={"upstream_metrics_hint": True})) as relay:
        yield relay


async def submitted(relay: Relay, upstream: Upstream, receiver: Receiver) -> list[str]:
    """Submit tasks to the sandbox's queue and register for each; return the registrations' ids."""
    await upstream.behave(limit="100000/1")
    accepted = await asyncio.gather(
        *(upstream.http.post("/lead/update", headers={"x-api-key": UPSTREAM_KEY}, json=[]) for _ in range(TASKS))
    )
    await upstream.behave(limit="50/1")
    wishes: list[Registration] = [
        await wish(relay, answer.json()["RequestID"], receiver.url("/")) for answer in accepted
    ]
    return [registration.id for registration in wishes]


def hints() -> dict[HintOutcome, float]:
    """Return how many metrics calls came to what."""
    return {outcome: counted("relay_upstream_hints_total", outcome=outcome) for outcome in HintOutcome}


def since(before: dict[HintOutcome, float]) -> dict[HintOutcome, int]:
    return {outcome: round(count - before[outcome]) for outcome, count in hints().items()}


async def test_a_hint_is_asked_for_within_the_budget_and_all_tasks_are_seen(
    hinted: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(order="fifo", rate_per_s=40.0, durations="fixed:0.02")
    before, ids = hints(), await submitted(hinted, upstream, receiver)
    async with working(hinted):
        await wait_until(lambda: all_delivered(hinted, ids), within_s=50)

    account, told = await upstream.account(), since(before)
    assert sum(account["refused"].values()) == 0
    assert 1 <= sum(told.values()) <= account["arrivals"] / EVERY
    assert told[HintOutcome.FAILED] == 0


async def test_no_hint_is_asked_for_unless_it_is_switched_on(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(order="fifo", rate_per_s=40.0, durations="fixed:0.02")
    before, ids = hints(), await submitted(relay, upstream, receiver)
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, ids), within_s=50)

    assert sum(since(before).values()) == 0


@pytest.mark.parametrize("fault", ["404", "401", "throttled", "500"])
async def test_a_metrics_call_that_fails_delays_nothing_but_itself(
    hinted: Relay, upstream: Upstream, receiver: Receiver, fault: str
) -> None:
    faults = [{"fault": fault, "on": ["metrics"]}]
    await upstream.behave(order="fifo", rate_per_s=40.0, durations="fixed:0.02", faults=faults)
    before, ids = hints(), await submitted(hinted, upstream, receiver)
    async with working(hinted):
        await wait_until(lambda: all_delivered(hinted, ids), within_s=50)

    told = since(before)
    assert told[HintOutcome.FAILED] >= 1
    assert told[HintOutcome.NEWS] + told[HintOutcome.NO_NEWS] == 0
