"""Deliver: POST one callback once, and commit how it ended."""

from dataclasses import dataclass
from random import random

from relay import crash, log, metrics, traces
from relay.context import Relay
from relay.crash import Point
from relay.domain import message, signature
from relay.domain.delivery import Outcome, Reply
from relay.domain.event import events_of
from relay.domain.registration import DeathReason, Registration, RegistrationState, after_attempt, after_task
from relay.store import keys
from relay.store.records import unreadable
from relay.store.write import Fence, Write

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one attempt: how it went, and the registration as decided."""

    reply: Reply
    registration: Registration


async def deliver(relay: Relay, fence: Fence, registration_id: str) -> Tried | None:
    """Try a due registration's callback once; return what came of it, or None when nothing was due after all.

    Raises FencedError and StoreUnavailableError; then the claim lapses and it is tried again: at least once. Raises
    UnreadableError.
    """
    crash.reached(Point.DELIVERY_CLAIMED, registration_id)
    registration = await relay.store.registration(registration_id)
    if registration is not None and registration.state is RegistrationState.PENDING:
        registration = await _make_due(relay, fence, registration)
    if registration is None or registration.state is not RegistrationState.DELIVERING:
        await _leave(relay, fence, registration_id)
        return None
    body = await relay.store.body(registration_id)
    if body is None:
        raise unreadable("body", "missing", registration=registration_id)
    with traces.calling("callback", registration.traceparent) as span:
        tried = await _attempt(relay, fence, registration, body, traceparent=span.traceparent)
        span.note(
            registration=registration_id,
            outcome=tried.reply.outcome,
            status=tried.reply.status_code,
            attempt=len(tried.registration.attempts),
        )
        return tried


async def _make_due(relay: Relay, fence: Fence, registration: Registration) -> Registration | None:
    """Write down the body of a registration whose task has been settled: every attempt sends it as it is."""
    task = await relay.store.task(registration.task_name)
    if task is None or not task.settled:
        return None
    due = after_task(registration, task)
    body = message.body(due, await relay.store.task_status(registration.task_name))
    write = Write(fence)
    write.blob(keys.body(due.id), body, kept=True)
    write.registration(due, now=relay.clock(), claimed=True)
    await relay.store.commit(write)
    crash.reached(Point.DELIVERY_WRITTEN, due.id, due.task_name.request_id)
    logger.info("final", registration=due.id, outcome=due.outcome, reason=due.reason, polls=task.looks.polls)
    return await relay.store.registration(registration.id)


async def _attempt(
    relay: Relay, fence: Fence, registration: Registration, body: bytes, *, traceparent: str | None
) -> Tried:
    began_at = relay.clock()
    headers = signature.sign(
        relay.settings.signing_secret, message_id=registration.id, timestamp=int(began_at), body=body
    )
    if traceparent is not None:
        headers["traceparent"] = traceparent
    reply = await relay.callbacks.post(registration.callback_url, body, headers, now=began_at)
    crash.reached(Point.DELIVERY_POSTED, registration.id, registration.task_name.request_id)
    _count(reply)
    now = relay.clock()
    decided = after_attempt(
        registration,
        reply,
        relay.retries,
        now=now,
        dice=random(),  # noqa: S311 - it spreads retries, it guards nothing
    )
    write = Write(fence)
    write.registration(decided, now=now, events=events_of(decided))
    conflict = await relay.store.commit(write)
    crash.reached(Point.DELIVERY_COMMITTED, registration.id, registration.task_name.request_id)
    if conflict is None:
        _observe(decided, now)
    _tell(decided, reply)
    return Tried(reply, decided)


def _count(reply: Reply) -> None:
    """Count the attempt whether or not it can be written down: the receiver has seen it."""
    metrics.DELIVERY_ATTEMPTS.labels(reply.outcome).inc()
    metrics.DELIVERY_DURATION.observe(reply.duration_s)
    if reply.verdict is not None:
        metrics.DESTINATIONS_REFUSED.labels(reply.verdict).inc()


def _tell(registration: Registration, reply: Reply) -> None:
    known = {"registration": registration.id, "attempts": len(registration.attempts), "status": reply.status_code}
    if reply.outcome is Outcome.DELIVERED:
        logger.info("delivered", **known)
    else:
        logger.info("attempt_failed", outcome=reply.outcome, detail=reply.detail, verdict=reply.verdict, **known)
    if registration.state is RegistrationState.DEAD:
        logger.warning("dead", reason=registration.death, **known)


def _observe(registration: Registration, now: float) -> None:
    """Time it since its task was final, or since it was registered for a final one; once, however often redelivered."""
    due_at = max(registration.final_at or now, registration.registered_at)
    if len(registration.attempts) == 1:
        metrics.FINAL_TO_FIRST_ATTEMPT.observe(max(0.0, registration.attempts[0].at - due_at))
    if registration.state is RegistrationState.DELIVERED and not registration.redeliveries:
        metrics.FINAL_TO_DELIVERED.observe(now - due_at)
        metrics.REGISTRATION_TO_DELIVERED.observe(now - registration.registered_at)
    if registration.state is RegistrationState.DEAD:
        metrics.DELIVERIES_DEAD.labels(registration.death or DeathReason.EXHAUSTED).inc()


async def _leave(relay: Relay, fence: Fence, registration_id: str) -> None:
    write = Write(fence)
    write.leave(fence.lane.account, registration_id)
    await relay.store.commit(write)
