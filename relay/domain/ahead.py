"""Ahead: the tasks that no later one has overtaken, in the order in which they were submitted.

Each is **unseen**, never looked at, or **waiting**, looked at and found unfinished. One that is being asked keeps its
place in the order.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import chain

from relay.domain.candidate import NOWHERE, Candidate, Line, by_submission
from relay.domain.frontier import RANKS


class Ahead:
    """`count` is how many they are. Each step is O(log n), but for the few unfinished ones near the front."""

    def __init__(self) -> None:
        self.count = 0
        self._unseen: dict[float, Line] = {}  # by weight
        self._being_asked: list[Candidate] = []  # those of the unseen
        self._waiting: list[Candidate] = []  # in order, those being asked included

    def put(self, candidate: Candidate) -> None:
        """Let it be picked."""
        if not candidate.looked_at:
            self._unseen.setdefault(candidate.weight, Line()).push(by_submission(candidate))
        elif not self._waits(candidate):
            insort(self._waiting, candidate)

    def take(self, candidate: Candidate) -> None:
        """Hear that it is being asked."""
        if not candidate.looked_at and candidate.overtaken_at is None:
            self._being_asked.append(candidate)

    def give_back(self, candidate: Candidate) -> None:
        """Hear that it is being asked no more."""
        if candidate in self._being_asked:
            self._being_asked.remove(candidate)

    def drop(self, candidate: Candidate) -> None:
        """Forget it."""
        self.give_back(candidate)
        if self._waits(candidate):
            del self._waiting[self._count_waiting_before(candidate)]

    def rank(self, candidate: Candidate) -> int:
        """Return how many are ahead of it, `RANKS` when they are more: whoever was looked at far behind is not near."""
        return self.count_before(candidate, limit=RANKS)

    def next_ones(self) -> Iterator[Candidate]:
        """Give those who may be next: the first of the waiting and, of each weight, the first never looked at."""
        yield from (each for each in self._waiting[:RANKS] if each.place != NOWHERE)
        yield from self._heads()

    def behind(self, count: int) -> Candidate | None:
        """Return one of the unseen with about so many ahead of it."""
        return max(self._unseen.values(), key=len).behind(count) if self._unseen else None

    def take_before(self, candidate: Candidate) -> list[Candidate]:
        """Take out all that were submitted before it."""
        rank = self._count_waiting_before(candidate)
        taken = self._waiting[:rank] + [each for each in self._being_asked if each < candidate]
        del self._waiting[:rank]
        for line in self._unseen.values():
            taken += line.pop_before(candidate)
        return taken

    def take_first(self, count: int) -> list[Candidate]:
        """Take out the first so many, those being asked aside."""
        taken: list[Candidate] = []
        while len(taken) < count:
            heads = list(self._heads())
            first = min(chain(self._waiting[:1], heads), default=None)
            if first is None:
                break
            if first in heads:
                self._unseen[first.weight].pop()
            else:
                del self._waiting[0]
            taken.append(first)
        return taken

    def count_unseen_before(self, candidate: Candidate, *, limit: int) -> int:
        """Return how many of the unseen were submitted before it, counting no further than `limit`."""
        found = sum(each < candidate for each in self._being_asked)
        for line in self._unseen.values():
            found += line.count_before(candidate, limit=limit)
        return min(found, limit)

    def count_unwatched(self) -> int:
        """Return how many of the waiting are too far back to be watched."""
        return max(0, len(self._waiting) - RANKS)

    def count_before(self, candidate: Candidate, *, limit: int) -> int:
        """Return how many were submitted before it, counting no further than `limit`, give or take."""
        waiting = self._count_waiting_before(candidate)
        return limit if waiting >= limit else min(limit, waiting + self.count_unseen_before(candidate, limit=limit))

    def place(self, candidate: Candidate) -> int:
        """Return about which one it is, the first being 1: exact when all were added in their order."""
        first = min(chain(self._waiting[:1], self._being_asked, self._heads()), default=candidate)
        return max(1, min(candidate.arrival - first.arrival + 1, self.count))

    def sweep(self) -> None:
        for line in self._unseen.values():
            line.sweep()
        self._unseen = {weight: line for weight, line in self._unseen.items() if len(line) > 0}

    def __len__(self) -> int:
        return sum(map(len, self._unseen.values())) + len(self._being_asked) + len(self._waiting)

    def _waits(self, candidate: Candidate) -> bool:
        rank = self._count_waiting_before(candidate)
        return rank < len(self._waiting) and self._waiting[rank] is candidate

    def _count_waiting_before(self, candidate: Candidate) -> int:
        return bisect_left(self._waiting, candidate)

    def _heads(self) -> Iterator[Candidate]:
        return (head for line in self._unseen.values() if (head := line.head()) is not None)
