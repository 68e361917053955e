"""A receiver that fails in three ways and then takes it, on a virtual clock: when it is tried, and with what."""

from dataclasses import replace

import pytest

from relay.context import Relay
from relay.domain.circuit import CircuitPolicy
from relay.domain.delivery import Outcome
from relay.domain.registration import Registration, RegistrationState
from relay.store import keys
from tests.support.clock import VirtualClock, wait_until
from tests.support.receiver import Receiver, Reply
from tests.support.relays import SIGNING_SECRET, wish, working

HINT_S = 300
EARLY_S = 4.0
ANSWERS = (Reply(500, body=b"oh"), Reply(503, {"retry-after": str(HINT_S)}), Reply(429), Reply(200, body=b"ok"))
WAITS_S = ((5, 5 * 1.2), (HINT_S, HINT_S), (120, 120 * 1.2))  # the contract's schedule; the later Retry-After holds
NO_PAUSE = CircuitPolicy(longest_pause_s=0.0)  # of the host: it would be waited for on the real clock


@pytest.mark.timeout(120)
async def test_500_then_503_with_retry_after_then_429_then_it_is_taken(relay: Relay, receiver: Receiver) -> None:
    clock = VirtualClock(relay.store)
    receiver.answer("/hook", *ANSWERS)
    registration = await wish(relay, "task", receiver.url("/hook"))
    async with working(replace(relay, clock=clock, circuits=NO_PAUSE)):
        for attempt, (at_least_s, at_most_s) in enumerate(WAITS_S, start=1):
            tried = await after(relay, registration, attempt)
            assert tried.state is RegistrationState.DELIVERING
            assert tried.due_at is not None
            last = tried.attempts[-1]
            assert at_least_s <= tried.due_at - last.at <= at_most_s + last.duration_s + 0.1
            await clock.pass_s(tried.due_at - EARLY_S - clock())
            assert await due_in_s(relay, registration) > 0
            assert len(receiver.requests) == attempt
            await clock.pass_s(EARLY_S)
        taken = await after(relay, registration, len(ANSWERS))

    assert_attempts(taken)
    assert_requests(receiver, registration.id)


async def after(relay: Relay, registration: Registration, attempts: int) -> Registration:
    """Return the registration once it has been tried so often."""

    async def tried() -> bool:
        found = await relay.store.registration(registration.id)
        return found is not None and len(found.attempts) == attempts

    await wait_until(tried)
    found = await relay.store.registration(registration.id)
    assert found is not None
    return found


async def due_in_s(relay: Relay, registration: Registration) -> float:
    """Return in how many seconds the store lets it be claimed."""
    due_ms = await relay.store.ask("ZSCORE", keys.due("default"), registration.id)
    return (float(due_ms) - await relay.store.now_ms()) / 1000


def assert_attempts(taken: Registration) -> None:
    assert taken.state is RegistrationState.DELIVERED
    assert [(attempt.outcome, attempt.status_code, attempt.excerpt) for attempt in taken.attempts] == [
        (Outcome.SERVER_ERROR, 500, "oh"),
        (Outcome.SERVER_ERROR, 503, ""),
        (Outcome.THROTTLED, 429, ""),
        (Outcome.DELIVERED, 200, "ok"),
    ]
    for before, following, (at_least_s, _) in zip(taken.attempts, taken.attempts[1:], WAITS_S, strict=False):
        assert following.at >= before.at + at_least_s


def assert_requests(receiver: Receiver, id_: str) -> None:
    """Hold what the receiver saw to the promise: one id, one body, a fresh signature and timestamp each time."""
    assert [received.id for received in receiver.requests] == [id_] * len(ANSWERS)
    assert len({received.body for received in receiver.requests}) == 1
    signed_at = [int(received.headers["webhook-timestamp"]) for received in receiver.requests]
    for before, following, (at_least_s, _) in zip(signed_at, signed_at[1:], WAITS_S, strict=False):
        assert following - before >= at_least_s - 1  # a timestamp is whole seconds
    assert len({received.headers["webhook-signature"] for received in receiver.requests}) == len(ANSWERS)
    receiver.requests[0].verify(SIGNING_SECRET)
