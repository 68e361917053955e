"""When a task becomes final, and as what. Pure: instants (monotonic seconds) and dice are arguments."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf
from random import Random
from re import fullmatch
from typing import Self

from relay.sandbox.window import decimal

RETRY_GAPS_S = (30, 120, 420, 900, 1800, 2700, 3600, 5400, 7200, 10800)
"""The vendor's ten retries of a system error: seconds between one try and the next."""


class Outcome(StrEnum):
    """What becomes of a task."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    ERROR_THEN_SUCCESS = "error_then_success"


class Status(StrEnum):
    """The documented values of `Status`."""

    IN_QUEUE = "In-Queue"
    SUCCESS = "Success"
    FAILURE = "FAILURE"
    ERROR = "ERROR"


class Order(StrEnum):
    """How tasks are worked on: each on its own, or one queue, first in first out."""

    INDEPENDENT = "independent"
    FIFO = "fifo"


FINAL_STATUSES = {
    Outcome.SUCCESS: Status.SUCCESS,
    Outcome.FAILURE: Status.FAILURE,
    Outcome.ERROR: Status.ERROR,
    Outcome.ERROR_THEN_SUCCESS: Status.SUCCESS,
}


def dice(seed: int, topic: str) -> Random:
    """Return the dice of one topic: what one topic draws never shifts what another one draws."""
    return Random(f"{seed}/{topic}")  # noqa: S311 - a seeded play, not a secret


_SECONDS = r"\d{1,9}(\.\d{1,6})?"
_SIGMA = r"\d(\.\d{1,6})?"
_DURATIONS = rf"(fixed|exponential):{_SECONDS}|uniform:{_SECONDS},{_SECONDS}|lognormal:{_SECONDS},{_SIGMA}"


@dataclass(frozen=True, slots=True)
class Durations:
    """A distribution of seconds: fixed:S, uniform:LOW,HIGH, exponential:MEAN or lognormal:MEDIAN,SIGMA."""

    kind: str
    parameters: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "lognormal:3,0.7" and the like, or raise ValueError."""
        kind, _, numbers = text.partition(":")
        if not fullmatch(_DURATIONS, text):
            raise ValueError(
                'durations are "fixed:S", "uniform:LOW,HIGH", "exponential:MEAN" or "lognormal:MEDIAN,SIGMA" '
                f'in seconds, to the microsecond, not "{text}"'
            )
        return cls(kind, tuple(map(float, numbers.split(","))))

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(map(decimal, self.parameters))}"

    def draw_s(self, random: Random) -> float:
        """Return one duration in seconds."""
        first = self.parameters[0]
        match self.kind:
            case "uniform":
                return random.uniform(first, self.parameters[1])
            case "exponential":
                return first * random.expovariate(1)
            case "lognormal":
                return first * exp(random.gauss(0, self.parameters[1]))
            case _:
                return first


class WorkQueue:
    """First in, first out: `workers` at a time, and at most `rate_per_s` starts a second (None: no such bound)."""

    def __init__(self, *, workers: int, rate_per_s: float | None) -> None:
        self._free_at = [-inf] * workers
        self._gap_s = 1 / rate_per_s if rate_per_s else 0.0
        self._last_start_at = -inf

    def finish_at(self, submitted_at: float, work_s: float) -> float:
        """Queue one task that takes `work_s` seconds of a worker, and return when it is done."""
        start_at = max(submitted_at, self._free_at[0], self._last_start_at + self._gap_s)
        self._last_start_at = start_at
        heapq.heapreplace(self._free_at, start_at + work_s)
        return start_at + work_s


@dataclass(frozen=True, slots=True)
class Life:
    """A task's status at every instant: In-Queue, from `error_at` an ERROR to be retried, from `final_at` the end.

    A stuck task has `final_at` infinity.
    """

    final_at: float
    final_status: str = Status.SUCCESS
    error_at: float = inf

    def status_at(self, now: float) -> str:
        if now >= self.final_at:
            return self.final_status
        return Status.ERROR if now >= self.error_at else Status.IN_QUEUE


def draw_outcome(mix: Mapping[Outcome, float], random: Random) -> Outcome:
    """Return one outcome, each as likely as its weight in `mix` says; the weights need not add up to 1."""
    return random.choices(list(mix), weights=list(mix.values()))[0]


def life_of(outcome: Outcome, done_at: float, *, retries: int, retry_scale: float) -> Life:
    """Return the life of a task whose first try is done at `done_at`.

    ERROR_THEN_SUCCESS succeeds with the vendor's retry number `retries` (1 to 10), its gaps times `retry_scale`.
    """
    if outcome is not Outcome.ERROR_THEN_SUCCESS:
        return Life(done_at, FINAL_STATUSES[outcome])
    return Life(done_at + retry_scale * sum(RETRY_GAPS_S[:retries]), Status.SUCCESS, error_at=done_at)
