"""Baselines to measure the production policy against: pickers that people would write first."""

from heapq import heappop, heappush

from relay.domain.answer import Answer
from relay.domain.polling import RoundRobin
from relay.domain.task import Task
from relay.simulate.policies import Policy


class Backoff:
    """Each task has a timer of its own: one second, then twice as long after each poll, a minute at most."""

    FIRST_S, LONGEST_S = 1.0, 60.0

    def __init__(self) -> None:
        self._polls: dict[str, int] = {}
        self._due: list[tuple[float, str]] = []

    def add(self, key: str, task: Task, *, now: float, weight: float = 1.0) -> None:  # noqa: ARG002 - all alike
        if key not in self._polls:
            self._polls[key] = 0
            self._wait(key, now)

    def pick(self, *, now: float) -> str | None:
        if self.ready_at(now=now) != now:
            return None
        _, key = heappop(self._due)
        self._polls[key] += 1
        return key

    def answered(self, key: str, answer: Answer, *, now: float, rest_s: float = 0.0) -> None:  # noqa: ARG002 - all alike
        if key in self._polls:
            self._wait(key, now + rest_s)

    def drop(self, key: str) -> None:
        self._polls.pop(key, None)

    def ready_at(self, *, now: float) -> float | None:
        while self._due and self._due[0][1] not in self._polls:
            heappop(self._due)
        return max(now, self._due[0][0]) if self._due else None

    def __len__(self) -> int:
        return len(self._polls)

    def _wait(self, key: str, now: float) -> None:
        delay_s = min(self.FIRST_S * 2.0 ** min(self._polls[key], 16), self.LONGEST_S)
        heappush(self._due, (now + delay_s, key))


class NewestFirst:
    """The task registered last among those that were not polled within the last second. Keys ascend with time."""

    REST_S = 1.0

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._ready: list[tuple[int, str]] = []
        self._resting: list[tuple[float, str]] = []

    def add(self, key: str, task: Task, *, now: float, weight: float = 1.0) -> None:  # noqa: ARG002 - its key tells
        if key not in self._known:
            self._known.add(key)
            self._enter(key)

    def pick(self, *, now: float) -> str | None:
        return heappop(self._ready)[1] if self.ready_at(now=now) == now else None

    def answered(self, key: str, answer: Answer, *, now: float, rest_s: float = 0.0) -> None:  # noqa: ARG002 - all alike
        heappush(self._resting, (now + max(rest_s, self.REST_S), key))

    def drop(self, key: str) -> None:
        self._known.discard(key)

    def ready_at(self, *, now: float) -> float | None:
        while self._resting and self._resting[0][0] <= now:
            self._enter(heappop(self._resting)[1])
        while self._ready and self._ready[0][1] not in self._known:
            heappop(self._ready)
        if self._ready:
            return now
        while self._resting and self._resting[0][1] not in self._known:
            heappop(self._resting)
        return self._resting[0][0] if self._resting else None

    def __len__(self) -> int:
        return len(self._known)

    def _enter(self, key: str) -> None:
        if key in self._known:
            heappush(self._ready, (-int(key), key))


BASELINES: dict[str, Policy] = {
    "round robin": lambda _limit: RoundRobin(),
    "backoff": lambda _limit: Backoff(),
    "newest first": lambda _limit: NewestFirst(),
}
