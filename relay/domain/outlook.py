"""What an account's answers make one expect: two views of it, and the better predictor of the two in charge."""

from dataclasses import dataclass, field
from math import log

from relay.domain.by_age import ByAge
from relay.domain.by_order import ByOrder
from relay.domain.candidate import Candidate, Entry
from relay.domain.model import read, written

MOST_TRUST = 8.0  # nats: however long one view was right, a few surprises show that the world has changed
SWITCH = 1.0  # nats: so much better the other view must be to take over, or chance would swap them; 3 costs 4 %
LEAST_CHANCE = 0.02  # nothing is held to be less likely, or more certain than its opposite: one surprise is 4 nats
LOST_AFTER = 64  # misses in a row ahead; half as many slow down a queue that only pauses, more serve its opposite later


@dataclass(slots=True)
class Trust:
    """Which view has predicted the recent answers better; `score` is by how many nats the view by order has."""

    score: float = field(default=1.0, metadata={"least": -MOST_TRUST})
    in_order: bool = True

    def learn(self, by_order: float, by_age: float, *, finished: bool) -> None:
        """Learn from an answer, and from the chance that each view gave of being finished."""
        gain = _log_likelihood(by_order, finished=finished) - _log_likelihood(by_age, finished=finished)
        self.score = min(MOST_TRUST, max(-MOST_TRUST, self.score + gain))
        if abs(self.score) > SWITCH:
            self.in_order = self.score > 0


class Outlook:
    """The two views of an account. Each learns from every answer; times are Unix seconds."""

    def __init__(self) -> None:
        self._trust, self._age, self._order = Trust(), ByAge(), ByOrder()

    def put(self, entry: Entry) -> None:
        """Take in a candidate that may be picked."""
        self._age.put(entry)
        self._order.put(entry)

    def take(self, candidate: Candidate) -> None:
        """Hear that it is being asked."""
        self._order.take(candidate)

    def give_back(self, candidate: Candidate) -> None:
        """Hear that it is being asked no more."""
        self._order.give_back(candidate)

    def drop(self, candidate: Candidate) -> None:
        """Forget it."""
        self._order.drop(candidate)

    def best(self, then: float, *, pick: int) -> Candidate | None:
        """Return whom it is worth most to have looked at by `then`, as the view whose pick it is sees it.

        The longer the view by order has looked ahead in vain, the fewer of the picks are left to it.
        """
        scout = self._order.scout(pick) if self._trust.in_order else None
        if scout is not None:
            return scout
        every = 1 + self._order.front.misses // LOST_AFTER
        asks_order = self._trust.in_order and (pick + 1) % every == 0  # + 1: the guard has the multiples of four
        return (self._order.best(then) if asks_order else None) or self._age.best(then)

    def worth(self, candidate: Candidate, then: float) -> float:
        """Return what it is worth (s) to have looked at it by `then`, as the view in charge sees it."""
        return candidate.weight * self._in_charge.worth(candidate, then)

    def learn(self, candidate: Candidate, at: float, *, finished: bool) -> None:
        """Learn from a look at it at `at`."""
        self._trust.learn(self._order.chance(candidate, at), self._age.chance(candidate, at), finished=finished)
        self._order.learn(candidate, at, finished=finished)
        self._age.learn(candidate, at, finished=finished)
        if self._order.refuted:
            self._trust = Trust(score=-MOST_TRUST, in_order=False)

    @property
    def passed(self) -> list[Candidate]:
        """Those that the last answer has overtaken."""
        return self._order.passed

    def finished_by(self, candidate: Candidate, *, chance: float) -> float:
        """Return when it will have ended with this chance, as the view in charge sees it."""
        return self._in_charge.finished_by(candidate, chance=chance)

    def model(self) -> bytes:
        """Return what was learned, at most `MODEL_LIMIT_BYTES`."""
        for hazard in (self._age.hazard, self._order.hazard):
            hazard.sum_up()  # so that the writer goes on exactly as its reader does
        return written(self._learned())

    def learn_from(self, model: bytes) -> None:
        """Go on from what another had learned; from a damaged or older model nothing is taken."""
        learned = read(model, self._learned())
        if learned is not None:
            self._trust, self._age.hazard = learned["trust"], learned["by_age"]
            self._order.recall(learned)

    def sweep(self) -> None:
        self._age.sweep()
        self._order.sweep()

    def __len__(self) -> int:
        return len(self._age) + len(self._order)

    @property
    def _in_charge(self) -> ByAge | ByOrder:
        return self._order if self._trust.in_order else self._age

    def _learned(self) -> dict[str, object]:
        return {"trust": self._trust, "by_age": self._age.hazard} | self._order.learned()


def _log_likelihood(chance: float, *, finished: bool) -> float:
    bounded = min(1 - LEAST_CHANCE, max(LEAST_CHANCE, chance))
    return log(bounded if finished else 1 - bounded)
