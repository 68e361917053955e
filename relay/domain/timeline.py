"""Timeline: everything that has happened to one registration, in order."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from relay.domain.delivery import Outcome
from relay.domain.registration import Attempt, DeathReason, Registration, RegistrationState
from relay.domain.trail import Trail, whole_ms


class HappeningName(StrEnum):
    """What has happened: an event of the client's stream, or an answer of the upstream."""

    REGISTERED = "registered"
    POLLED = "polled"
    FINAL = "final"
    ATTEMPT = "attempt"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"
    REDELIVERED = "redelivered"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that has happened, at `at` (Unix seconds), and what else there is to say of it."""

    at: float
    name: HappeningName
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What has happened, oldest first; `polls_left_out` is how many polls are not kept."""

    happenings: list[Happening]
    polls_left_out: int


def timeline(registration: Registration, trail: Trail) -> Timeline:
    """Return what has happened to a registration, as it is shown, whose task has left this trail.

    Polls before it was made and after it needed them were for others, and are not told.
    """
    happenings = [Happening(registration.registered_at, HappeningName.REGISTERED), *_polls(registration, trail)]
    if registration.final_at is not None:
        more = {"type": registration.outcome, "reason": registration.reason}
        final_at = max(registration.final_at, registration.registered_at)  # a task may have been final before
        happenings.append(Happening(final_at, HappeningName.FINAL, more))
    happenings += _deliveries(registration)
    if registration.cancelled_at is not None:
        happenings.append(Happening(registration.cancelled_at, HappeningName.CANCELLED))
    return Timeline(happenings, trail.left_out)


def _polls(registration: Registration, trail: Trail) -> Iterator[Happening]:
    until = registration.final_at if registration.final_at is not None else registration.cancelled_at
    for poll in trail.polls:
        at_ms = whole_ms(poll.at)
        if at_ms >= whole_ms(registration.registered_at) and (until is None or at_ms <= whole_ms(until)):
            yield Happening(poll.at, HappeningName.POLLED, {"answer": poll.kind})


def _deliveries(registration: Registration) -> Iterator[Happening]:
    """Give attempts and what they led to: each round but the last was settled, or there would be no next."""
    begins = [0, *(one.attempts for one in registration.redeliveries)]
    for number, begin in enumerate(begins):
        last_round = number == len(begins) - 1
        end = len(registration.attempts) if last_round else begins[number + 1]
        yield from map(_attempt, range(begin + 1, end + 1), registration.attempts[begin:end])
        if not last_round or registration.state in {RegistrationState.DELIVERED, RegistrationState.DEAD}:
            death = registration.death if last_round else None
            yield _settled(registration, registration.attempts[begin:end], death)
        if not last_round:
            yield Happening(registration.redeliveries[number].at, HappeningName.REDELIVERED)


def _attempt(number: int, attempt: Attempt) -> Happening:
    more = {"number": number, "outcome": attempt.outcome, "status_code": attempt.status_code}
    more |= {"duration_s": round(attempt.duration_s, 4), "excerpt": attempt.excerpt}
    return Happening(attempt.at, HappeningName.ATTEMPT, more)


def _settled(registration: Registration, attempts: tuple[Attempt, ...], death: DeathReason | None) -> Happening:
    """Return what a round of attempts led to; why an earlier one was given up is told by its last attempt."""
    last = attempts[-1] if attempts else None
    at = (registration.final_at or registration.registered_at) if last is None else last.at + last.duration_s
    if last is not None and last.outcome is Outcome.DELIVERED:
        return Happening(at, HappeningName.DELIVERED)
    return Happening(at, HappeningName.DEAD, {"death": death})
