"""Newcomers: while a backlog is drained, whoever came last is looked at now and then too.

After an outage nearly all that is pending has ended, every look finds an end, and any view goes through it from the
oldest on. What is registered meanwhile would wait until that is done, though it takes seconds itself. So after so many
ends in a row the one that came last has a turn: at once again if it had ended, else after twice as many.
"""

from collections.abc import Iterable
from itertools import islice

from relay.domain.candidate import NOWHERE, Candidate

FIRST, LAST = 64, 1_024  # ends in a row: a fifth of a minute; with 32 a queue's slowest looks take a tenth longer
NEAR = 16  # of those who came last so many are considered; whoever was looked at already is none any more


class Newcomers:
    """When one of them is looked at, and who that is."""

    def __init__(self) -> None:
        self._ends, self._every = 0, FIRST
        self._sent: Candidate | None = None

    def send(self, latest_first: Iterable[Candidate]) -> Candidate | None:
        """Return who came last of those never looked at, if it is time for that."""
        if self._ends < self._every:
            return None
        self._ends = 0
        near = islice(latest_first, NEAR)
        self._sent = next((each for each in near if each.place != NOWHERE and not each.looked_at), None)
        return self._sent

    def learn(self, candidate: Candidate, *, finished: bool) -> None:
        """Learn from a look at any candidate."""
        if candidate is self._sent:
            self._every = FIRST if finished else min(LAST, 2 * self._every)
            self._sent = None
        self._ends = self._ends + 1 if finished else 0
