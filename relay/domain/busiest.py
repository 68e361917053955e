"""Which accounts have a label of their own: the busiest, and seldom another one than before."""

from collections.abc import Mapping

OVERTAKES = 1.25  # a newcomer must be so much busier: two accounts of a kind do not take turns


class Busiest:
    """At most `most` names, elected by counts that only grow.

    A name is lost only to an account that is a quarter busier, so the one that lost it must grow by more than half to
    win it back: over all time there are no more elections than the logarithm of the counts.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._named: set[str] = set()

    def elect(self, counts: Mapping[str, int]) -> frozenset[str]:
        """Return who has a name, after what each account has counted so far."""
        others = sorted(counts.keys() - self._named, key=lambda name: (-counts[name], name))
        free = self._most - len(self._named)
        self._named.update(others[:free])
        incumbents = sorted(self._named, key=lambda name: (counts[name], name))
        for newcomer, incumbent in zip(others[free:], incumbents, strict=False):
            if counts[newcomer] <= counts[incumbent] * OVERTAKES:
                break
            self._named.remove(incumbent)
            self._named.add(newcomer)
        return frozenset(self._named)
