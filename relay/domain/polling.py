"""Which task is polled next.

The lane's holder keeps its pending tasks in memory and asks its picker once for each slot. A picker knows no clock
and does no I/O: `add`, `pick`, `answered`, `drop` tell it what happens and when, in Unix seconds.
"""

from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from relay.domain.answer import Answer
from relay.domain.task import Task


class Picker(Protocol):
    """Chooses among the pending tasks of one account. A key names a task; one being polled is not chosen again."""

    def add(self, key: str, task: Task, *, now: float, weight: float = 1.0) -> None:
        """Take in a task that is new, or was loaded after a takeover; of one already known only the weight is news.

        `weight` says how many times as bad a second of its lag is; few different values, please.
        """

    def pick(self, *, now: float) -> str | None:
        """Return the task to poll now, or None when none can be; it counts as being polled until `answered`."""

    def answered(self, key: str, answer: Answer, *, now: float, rest_s: float = 0.0) -> None:
        """Hear that the poll of `key` was answered; unless dropped, it can be picked again after `rest_s`.

        Tell of a final answer too, and drop the task after that: a picker that learns, learns most from those.
        """

    def drop(self, key: str) -> None:
        """Forget a task: it is settled, abandoned or of no concern here any more."""

    def ready_at(self, *, now: float) -> float | None:
        """Return when a task can be picked, or None when only an answer or a new task can change that."""

    def __len__(self) -> int:
        """Return how many tasks are pending, those being polled included."""


class _Entry(NamedTuple):
    """A task's place, told from others like it by its identity."""

    since: float
    key: str


class RoundRobin:
    """The longest unseen first: near the best there is when nothing tells the tasks apart.

    A task has one place at most: in the line, by when it was last seen, or resting, by when it may join the line. An
    entry that is not its task's place is one left behind by `drop`, and passed over.
    """

    def __init__(self) -> None:
        self._places: dict[str, _Entry | None] = {}  # None: being polled
        self._line: list[_Entry] = []
        self._resting: list[tuple[float, _Entry]] = []

    def add(self, key: str, task: Task, *, now: float, weight: float = 1.0) -> None:  # noqa: ARG002 - all alike
        if key not in self._places:
            last_at = task.looks.last_at
            self._enter(_Entry(task.registered_at if last_at is None else last_at, key))

    def pick(self, *, now: float) -> str | None:
        if self.ready_at(now=now) != now:
            return None
        key = heappop(self._line).key
        self._places[key] = None
        return key

    def answered(self, key: str, answer: Answer, *, now: float, rest_s: float = 0.0) -> None:  # noqa: ARG002 - all alike
        if key not in self._places:
            return
        entry = self._places[key] = _Entry(now, key)
        if rest_s > 0:
            heappush(self._resting, (now + rest_s, entry))
        else:
            self._enter(entry)

    def drop(self, key: str) -> None:
        self._places.pop(key, None)

    def ready_at(self, *, now: float) -> float | None:
        while self._resting and (self._resting[0][0] <= now or self._left_behind(self._resting[0][1])):
            _, entry = heappop(self._resting)
            if not self._left_behind(entry):
                self._enter(entry)
        while self._line and self._left_behind(self._line[0]):
            heappop(self._line)
        if self._line:
            return now
        return self._resting[0][0] if self._resting else None

    def __len__(self) -> int:
        return len(self._places)

    def _enter(self, entry: _Entry) -> None:
        self._places[entry.key] = entry
        heappush(self._line, entry)

    def _left_behind(self, entry: _Entry) -> bool:
        return self._places.get(entry.key) is not entry
