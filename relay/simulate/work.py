"""Work: how the upstream works through its tasks, and when each of them is done."""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heapreplace
from math import inf
from random import Random
from typing import NamedTuple

from relay.simulate.durations import Durations, parse_seconds


class Order(StrEnum):
    """Which task is worked on next: all at once, one queue from either end, or each once it is asked about."""

    INDEPENDENT = "independent"
    FIFO = "fifo"
    NEWEST = "newest"
    WHEN_ASKED = "when-asked"


class Span(NamedTuple):
    """When the upstream began with a task, and when it was done with it."""

    start_at: float
    end_at: float


@dataclass(frozen=True)
class Pauses:
    """The queue halts as a whole: it runs for `every_s` and then stands for `lasting_s`, both exponential means."""

    every_s: float
    lasting_s: float

    @classmethod
    def parse(cls, text: str) -> "Pauses":
        """Read `120s/20s`. Raises ValueError with what is wrong."""
        every, _, lasting = text.partition("/")
        pauses = cls(parse_seconds(every), parse_seconds(lasting))
        if pauses.every_s <= 0 or pauses.lasting_s <= 0:
            raise ValueError("both times must be above zero")
        return pauses


@dataclass(frozen=True)
class Work:
    """The upstream's work. A queue has `workers`, starts at most `starts_per_s` tasks a second, and may pause."""

    durations: Durations
    order: Order = Order.INDEPENDENT
    workers: int = 1
    starts_per_s: float = inf
    pauses: Pauses | None = None

    def spans(self, submitted_at: Sequence[float], random: Random) -> list[Span]:
        """Return when each task is worked on; `submitted_at` ascends."""
        work_s = [self.durations.draw_s(random) for _ in submitted_at]
        if self.order in {Order.INDEPENDENT, Order.WHEN_ASKED}:
            return [Span(at, at + length_s) for at, length_s in zip(submitted_at, work_s, strict=True)]
        if self.pauses is None:
            return self._queued(submitted_at, work_s)
        clock = _WorkingClock(self.pauses, random)
        spans = self._queued([clock.worked_s(at) for at in submitted_at], work_s)
        return [
            Span(max(at, clock.at(span.start_at)), max(at, clock.at(span.end_at)))
            for at, span in zip(submitted_at, spans, strict=True)
        ]

    def _queued(self, submitted_at: Sequence[float], work_s: Sequence[float]) -> list[Span]:
        spans = [Span(inf, inf)] * len(submitted_at)
        free_at, next_start_at = [-inf] * self.workers, -inf
        waiting: deque[int] = deque()
        come = 0
        for _ in submitted_at:
            start_at = max(free_at[0], next_start_at)
            if not waiting:
                start_at = max(start_at, submitted_at[come])
            while come < len(submitted_at) and submitted_at[come] <= start_at:
                waiting.append(come)
                come += 1
            task = waiting.pop() if self.order is Order.NEWEST else waiting.popleft()
            spans[task] = Span(start_at, start_at + work_s[task])
            heapreplace(free_at, spans[task].end_at)
            next_start_at = start_at + 1 / self.starts_per_s
        return spans


class _WorkingClock:
    """A clock that stands still while the upstream pauses. Its turns are drawn as far as they are asked for."""

    def __init__(self, pauses: Pauses, random: Random) -> None:
        self._pauses = pauses
        self._random = random
        self._runs_at = [0.0]  # when each run began, and what had been worked by then
        self._worked_s = [0.0]
        self._halts_at: list[float] = []
        self._next_run()

    def worked_s(self, at: float) -> float:
        """Return how many seconds had been worked at an instant."""
        while self._runs_at[-1] <= at:
            self._next_run()
        run = bisect_right(self._runs_at, at) - 1
        return self._worked_s[run] + min(at, self._halts_at[run]) - self._runs_at[run]

    def at(self, worked_s: float) -> float:
        """Return the first instant at which so much had been worked."""
        while self._worked_s[-1] < worked_s:
            self._next_run()
        run = max(0, bisect_left(self._worked_s, worked_s) - 1)
        return self._runs_at[run] + worked_s - self._worked_s[run]

    def _next_run(self) -> None:
        run_s = self._random.expovariate(1 / self._pauses.every_s)
        self._halts_at.append(self._runs_at[-1] + run_s)
        self._worked_s.append(self._worked_s[-1] + run_s)
        self._runs_at.append(self._halts_at[-1] + self._random.expovariate(1 / self._pauses.lasting_s))
