"""Backlog: what the upstream's metrics call tells of an operation's queue, and when that is worth a call.

It names no task and no outcome, so it is never a result: a hint of where in the queue the front has come, which the
next polls confirm or refute. It is paid from the same budget as the polls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

import orjson

from relay.domain.answer import Answer, AnswerKind, refusal
from relay.domain.operations import Operation

LEAST_PENDING = 16  # with fewer, asking them costs no more than asking about them
EVERY = 50  # calls of the account for one of these: two in a hundred
MOST_EVERY = 1_600  # after so many that told nothing new, each half as often as the one before
_A_MINUTE_S = 60.0


class HintOutcome(StrEnum):
    """What became of a metrics call."""

    NEWS = "news"
    NO_NEWS = "no_news"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Backlog:
    """An operation's queue upstream: tasks pending, whoever submitted them, and how many end in a second."""

    pending: int
    per_s: float


def read_backlog(status_code: int, body: bytes, *, retry_after_s: float | None = None) -> Backlog | Answer:
    """Return what the reply to a metrics call tells, or why it tells nothing. Never raises.

    One page of the vendor spells ProcessingratePerMinute, so names are compared whatever their case.
    """
    refused = refusal(status_code, body, retry_after_s=retry_after_s)
    if refused is not None:
        return refused
    try:
        document = {str(name).lower(): value for name, value in orjson.loads(body).items()}
    except (orjson.JSONDecodeError, AttributeError):
        return Answer(AnswerKind.UNUSABLE, detail="not a JSON object")
    pending, per_minute = (_amount(document.get(name)) for name in ("pendingmessages", "processingrateperminute"))
    if pending is None:
        return Answer(AnswerKind.UNUSABLE, detail="no PendingMessages")
    return Backlog(int(pending), (per_minute or 0.0) / _A_MINUTE_S)


def _amount(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value) and value >= 0
    return value if usable else None


class Hints:
    """When to ask about which operation, counted in calls, as these are what it costs."""

    def __init__(self) -> None:
        self._calls, self._next_call = 0, EVERY  # the first polls tell more
        self._every: dict[Operation, int] = {}
        self._due: dict[Operation, int] = {}

    def due(self, pending: Mapping[Operation, int]) -> Operation | None:
        """Return whose backlog the call that is sent now should ask for; None for a task's status.

        `pending` are the tasks of each operation whose turn in the queue is yet to come.
        """
        self._calls += 1
        if self._calls < self._next_call:
            return None
        worth_it = (each for each, count in pending.items() if count >= LEAST_PENDING)
        operation = min(worth_it, key=lambda each: (self._due_at(each), -pending[each]), default=None)
        if operation is None or self._due_at(operation) > self._calls:
            return None
        self._next_call = self._calls + EVERY
        self.told(operation, HintOutcome.NO_NEWS)  # until it is known better
        return operation

    def told(self, operation: Operation, outcome: HintOutcome) -> None:
        """Hear what came of it: soon again after news, else less and less often."""
        news = outcome is HintOutcome.NEWS
        every = EVERY if news else min(MOST_EVERY, 2 * self._every.get(operation, EVERY // 2))
        self._every[operation], self._due[operation] = every, self._calls + every

    def _due_at(self, operation: Operation) -> int:
        return self._due.get(operation, 0)
