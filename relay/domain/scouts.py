"""Scouts: tasks far behind the front that are looked at now and then, whatever is expected of them.

In a queue they tell nothing. But where a task is begun only when it is first asked about, or each takes its own time,
whoever looks at the front alone finds what looks like a queue for ever. The longer the scouts tell nothing, the fewer
of the picks they get.
"""

from collections.abc import Iterator

from relay.domain.candidate import NOWHERE, Candidate

SCOUTS = 1  # two find a wrong order sooner, and cost a queue twice as much
FIRST, LAST = 8, 1_024  # a look at a scout after so many picks, then after twice as many


class Scouts:
    """Who they are, and when the next one is looked at."""

    def __init__(self) -> None:
        self._scouts: list[Candidate] = []
        self._next_pick = self._every = FIRST

    def __contains__(self, candidate: Candidate) -> bool:
        return candidate in self._scouts

    def __iter__(self) -> Iterator[Candidate]:
        return iter(tuple(self._scouts))

    def due(self, pick: int) -> bool:
        """Whether it is time to look at one."""
        return pick >= self._next_pick

    def wanted(self) -> bool:
        """Whether one more is to be recruited."""
        return len(self._scouts) < SCOUTS

    def recruit(self, candidate: Candidate) -> None:
        """Make it a scout."""
        self._scouts.append(candidate)

    def dismiss(self, candidate: Candidate) -> None:
        """Let it be a scout no more."""
        if candidate in self._scouts:
            self._scouts.remove(candidate)

    def send(self, pick: int) -> Candidate | None:
        """Return the longest unseen of those that may be picked."""
        free = (each for each in self._scouts if each.place != NOWHERE)
        scout = min(free, key=lambda each: each.unfinished_at, default=None)
        if scout is not None:
            self._next_pick = pick + self._every
            self._every = min(LAST, 2 * self._every)
        return scout

    def start_anew(self) -> None:
        """Look at them as often as at first: there is news."""
        self._next_pick, self._every = 0, FIRST
