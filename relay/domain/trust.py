"""Trust: which of three views of an operation has predicted the recent answers best, and is in charge.

Order and age contend with each other, as nearly every world is one of the two. The view by start seldom holds and is
costly where it does not: it has to beat by far whichever of them leads.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import log

MOST_TRUST = 8.0  # nats: however long one view was right, a few surprises show that the world has changed
SWITCH = 1.0  # nats: so much better the other view must be to take over, or chance would swap them; 3 costs 4 %
BY_FAR = 4.0  # nats
SIMPLER = 0.02  # nats a look in favour of the other two: looked at when it comes, a task's age is its time since then
LEAST_CHANCE = 0.02  # nothing is held to be less likely, or more certain than its opposite: one surprise is 4 nats


class View(StrEnum):
    """What makes a task end: its turn, its age, or that it was asked about."""

    ORDER = "order"
    AGE = "age"
    START = "start"


@dataclass(slots=True)
class Trust:
    """`score` is by how many nats order has predicted better than age, `start` by how many start has than those two."""

    score: float = field(default=1.0, metadata={"least": -MOST_TRUST})
    in_order: bool = True
    start: float = field(default=-BY_FAR, metadata={"least": -MOST_TRUST})
    by_start: bool = False

    @property
    def in_charge(self) -> View:
        """Who leads."""
        return View.START if self.by_start else self._leader

    def learn(self, chances: dict[View, float], *, finished: bool) -> None:
        """Learn from an answer, and from the chance that each view gave of being finished."""
        told = {view: _log_likelihood(chance, finished=finished) for view, chance in chances.items()}
        self.start = _bounded(self.start + told[View.START] - told[self._leader] - SIMPLER)
        self.score = _bounded(self.score + told[View.ORDER] - told[View.AGE])
        if abs(self.score) > SWITCH:
            self.in_order = self.score > 0

    def refute_order(self) -> None:
        """Take all trust from the view by order: it was shown to be wrong."""
        self.score, self.in_order = -MOST_TRUST, False

    def judge_start(self, *, possible: bool, evidence: float, proved: bool) -> None:
        """Let the view by start lead when it may, and beats the others by far or is proved.

        `evidence` (nats) speaks against an order, which it therefore needs to beat by so much less, but to beat: a
        queue that stands still finds nothing either. Against age it tells nothing, as what is young has not ended.
        """
        by_far = max(0.0, BY_FAR - evidence) if self.in_order else BY_FAR
        self.by_start = possible and (proved or self.start > by_far - (SWITCH if self.by_start else 0))

    @property
    def _leader(self) -> View:
        return View.ORDER if self.in_order else View.AGE


def _bounded(score: float) -> float:
    return min(MOST_TRUST, max(-MOST_TRUST, score))


def _log_likelihood(chance: float, *, finished: bool) -> float:
    bounded = min(1 - LEAST_CHANCE, max(LEAST_CHANCE, chance))
    return log(bounded if finished else 1 - bounded)
