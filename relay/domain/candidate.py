"""A pending task as the polling policy sees it, and the lines it stands in.

A line is a heap in which nothing is looked for: whoever moves gets a new place, and the entry that names the old one is
passed over when it comes up, and swept out together with the others now and then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import log1p
from typing import NamedTuple

from relay.domain.operations import Operation

NOWHERE = 0
ROWS_PER_FOLD = 4  # tasks whose clocks are within 28 % of each other (e^(1/4)) share a row


@dataclass(slots=True, eq=False)
class Candidate:
    """A pending task. `weight` says how many times as bad a second of its lag is; times are Unix seconds.

    `arrival` breaks ties in the order of submission. `unfinished_at` is when it was last known to be unfinished: at
    its last look, or when it was submitted. `overtaken_at` is when a later task was first seen finished. `ended` says
    that the upstream has called it final, and that it is held all the same. `place` names its entries that count.
    """

    key: str
    operation: Operation
    weight: float
    submitted_at: float
    arrival: int
    unfinished_at: float
    first_look_at: float | None = None
    overtaken_at: float | None = None
    ended: bool = False
    place: int = NOWHERE

    @property
    def looked_at(self) -> bool:
        """Whether it was ever looked at."""
        return self.first_look_at is not None

    def __lt__(self, other: "Candidate") -> bool:
        """Whether it was submitted before the other one."""
        if self.submitted_at != other.submitted_at:
            return self.submitted_at < other.submitted_at
        return self.arrival < other.arrival

    def age_at(self, at: float) -> float:
        """Return its age in seconds at `at`."""
        return max(0.0, at - self.submitted_at)


class Entry(NamedTuple):
    """A candidate in a line: the smaller (`since`, `tie`), the further ahead."""

    since: float
    tie: int
    place: int
    candidate: Candidate

    @property
    def left_behind(self) -> bool:
        return self.candidate.place != self.place


def by_last_look(candidate: Candidate) -> Entry:
    """Return its entry where the longest unseen is first."""
    return Entry(candidate.unfinished_at, candidate.arrival, candidate.place, candidate)


def by_submission(candidate: Candidate) -> Entry:
    """Return its entry where the one submitted first is first."""
    return Entry(candidate.submitted_at, candidate.arrival, candidate.place, candidate)


class Proposal(NamedTuple):
    """Whom to look at, and what that is worth (s, the weight counted)."""

    worth: float
    candidate: Candidate | None


NOBODY = Proposal(0.0, None)


class Line:
    """Candidates by their entries, each step O(log n)."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, entry: Entry) -> None:
        heappush(self._heap, entry)

    def head(self) -> Candidate | None:
        """Return who is first, or None when nobody stands here any more."""
        while self._heap and self._heap[0].left_behind:
            heappop(self._heap)
        return self._heap[0].candidate if self._heap else None

    def pop(self) -> Candidate | None:
        """Take out who is first."""
        head = self.head()
        if head is not None:
            heappop(self._heap)
        return head

    def behind(self, count: int) -> Candidate | None:
        """Return about the one with so many ahead of it, or the last one when there are fewer: O(count)."""
        entries = (self._heap[index] for index in range(min(count, len(self._heap) - 1), -1, -1))
        return next((entry.candidate for entry in entries if not entry.left_behind), None)

    def pop_before(self, candidate: Candidate) -> Iterator[Candidate]:
        """Take out all who were submitted before the candidate; for a line in the order of submission."""
        while (head := self.head()) is not None and head < candidate:
            heappop(self._heap)
            yield head

    def count_before(self, candidate: Candidate, *, limit: int) -> int:
        """Return how many were submitted before the candidate, counting no further than `limit`: O(limit log n).

        Those counted are taken out and put back, so that whatever was left behind between them is met only once.
        """
        before: list[Entry] = []
        while len(before) < limit and (head := self.head()) is not None and head < candidate:
            before.append(heappop(self._heap))
        for entry in before:
            heappush(self._heap, entry)
        return len(before)

    def sweep(self) -> None:
        """Throw out what was left behind."""
        self._heap = [entry for entry in self._heap if not entry.left_behind]
        heapify(self._heap)


class Shelves:
    """Rows of candidates alike in weight and in what their clock showed when they were last seen.

    In a row the longest unseen is worth the most, so that only the heads need comparing.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[float, int], Line] = {}

    def push(self, entry: Entry, *, clock_s: float) -> None:
        """Put up a candidate whose clock showed so many seconds when it was last seen."""
        row = 0 if clock_s <= 0 else 1 + int(ROWS_PER_FOLD * log1p(clock_s))
        self._rows.setdefault((entry.candidate.weight, row), Line()).push(entry)

    def heads(self) -> list[Candidate]:
        """Return the first of each row."""
        heads = {row: line.head() for row, line in self._rows.items()}
        for row in [row for row, head in heads.items() if head is None]:
            del self._rows[row]
        return [head for head in heads.values() if head is not None]

    def sweep(self) -> None:
        for line in self._rows.values():
            line.sweep()
        self._rows = {row: line for row, line in self._rows.items() if len(line) > 0}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))
