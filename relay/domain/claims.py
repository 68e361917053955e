"""Claims: how far a hint is believed, by what the looks at those it claimed to have ended have shown.

A hint that is wrong by nature (who knows what the upstream counts) costs a few looks and then one each; one that
holds soon moves the front by as much as can be asked before the next one.
"""

from collections.abc import Iterable

from relay.domain.candidate import Candidate

AT_FIRST, AT_MOST = 4, 64  # the latter is about what is asked between two hints


class Claims:
    """Those claimed to have ended, until they are looked at, and how many there may be."""

    def __init__(self) -> None:
        self._unchecked: set[Candidate] = set()
        self._most = AT_FIRST

    def allowed(self) -> int:
        """Return how many more may be claimed."""
        return max(0, self._most - len(self._unchecked))

    def made(self, candidates: Iterable[Candidate]) -> None:
        """Hear that these are claimed to have ended."""
        self._unchecked.update(candidates)

    def checked(self, candidate: Candidate, *, finished: bool) -> None:
        """Hear of a look: one claim more for each that held, half as many after one that did not."""
        if candidate in self._unchecked:
            self.dropped(candidate)
            self._most = min(AT_MOST, self._most + 1) if finished else max(1, self._most // 2)

    def dropped(self, candidate: Candidate) -> None:
        """Forget it."""
        self._unchecked.discard(candidate)
