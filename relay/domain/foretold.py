"""Foretold: by when some tasks are to have ended, kept until they have, so that a forecaster learns how sure it may be.

All estimates of a queue are off in the same direction for as long as something is not as it was taken for, and no
model of the gaps tells by how much. What came of earlier ones does.
"""

from relay.domain.candidate import Candidate

CHANCE = 0.9
MOST = 256  # kept at a time
EVERY = 2  # answers
GOLDEN = 0.618034  # of the way back, again and again: the samples are spread evenly


class Foretold:
    """Times in Unix seconds, by candidate."""

    def __init__(self) -> None:
        self._by: dict[Candidate, float] = {}
        self._answers = 0

    def sample(self) -> float | None:
        """Return which part of the way back in the queue one is to be foretold, if it is time for that."""
        self._answers += 1
        if self._answers % EVERY != 0 or len(self._by) >= MOST:
            return None
        return self._answers * GOLDEN % 1

    def __contains__(self, candidate: Candidate) -> bool:
        return candidate in self._by

    def note(self, candidate: Candidate, by: float) -> None:
        """Keep that it is to have ended by then with the chance `CHANCE`."""
        self._by[candidate] = by

    def kept(self, candidate: Candidate, ended_at: float) -> bool | None:
        """Return whether it had ended by then, or None when nothing was foretold of it."""
        by = self._by.pop(candidate, None)
        return None if by is None else ended_at <= by

    def drop(self, candidate: Candidate) -> None:
        """Forget it."""
        self._by.pop(candidate, None)
