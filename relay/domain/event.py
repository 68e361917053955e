"""Events: what happens to registrations, as it is told to their client."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

import orjson

from relay.domain.instant import rfc3339
from relay.domain.registration import Attempt, Registration, RegistrationState

ID = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,19}))?")  # so many digits are below the store's 2**64, whatever they are


class EventName(StrEnum):
    """What has happened.

    registered. final: its task has ended, or its deadline has passed. attempt: its callback was tried. delivered,
    dead, cancelled: it is settled. redelivered: its client wants it called back again. gap: told by the stream itself,
    events after the one asked for are kept no more. accounts: told to the admin alone, they stand not as before.
    """

    REGISTERED = "registered"
    FINAL = "final"
    ATTEMPT = "attempt"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"
    REDELIVERED = "redelivered"
    GAP = "gap"
    ACCOUNTS = "accounts"


class EventId(NamedTuple):
    """An event's place in its client's stream: Unix milliseconds, and a number within them."""

    at_ms: int
    number: int

    def __str__(self) -> str:
        return f"{self.at_ms}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id that `str` wrote. Raises ValueError."""
        match = ID.fullmatch(text)
        if match is None:
            raise ValueError("it is no id of an event: send the last `id` as it came, or 0 for all that is kept")
        return cls(int(match[1]), int(match[2] or 0))


NO_EVENT = EventId(0, 0)


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it is kept; `data` is JSON."""

    id: EventId
    name: str
    data: bytes


def beginning(asked: EventId | None, *, first: EventId | None, last: EventId | None) -> tuple[EventId, bool]:
    """Return after which event a stream begins, and whether some that were asked for are kept no more.

    `asked` is the last one that the reader has seen: None to begin now, NO_EVENT to begin with the oldest that is kept.
    `first` and `last` are the oldest and the newest that are kept. What is newer than the newest is an event that the
    store has lost, so the reader begins now.
    """
    if asked is None:
        return last or NO_EVENT, False
    if asked == NO_EVENT:
        return NO_EVENT, False
    if first is None or last is None or asked > last:
        return last or NO_EVENT, True
    return asked, asked < first


def events_of(decided: Registration) -> tuple[EventName, ...]:
    """Return what there is to tell of a registration after an attempt."""
    if decided.state is RegistrationState.DELIVERED:
        return (EventName.ATTEMPT, EventName.DELIVERED)
    if decided.state is RegistrationState.DEAD:
        return (EventName.ATTEMPT, EventName.DEAD)
    return (EventName.ATTEMPT,)


def told(name: EventName, registration: Registration, *, at: float) -> bytes:
    """Return the event's data: the registration in short, and what belongs to the event. `at` is in Unix seconds."""
    task = registration.task_name
    data: dict[str, Any] = {
        "id": registration.id,
        "state": registration.state,
        "type": registration.outcome,
        "account": task.account,
        "operation": task.operation,
        "request_id": task.request_id,
        "at": rfc3339(at),
    }
    if name is EventName.ATTEMPT:
        data["attempt"] = _attempt(len(registration.attempts), registration.attempts[-1])
    if name is EventName.DEAD:
        data["death"] = registration.death
    return orjson.dumps(data)


def _attempt(number: int, attempt: Attempt) -> dict[str, Any]:
    return {"number": number, "outcome": attempt.outcome, "status_code": attempt.status_code}
