"""What an operation's answers make one expect: two views of it, and the better predictor of the two in charge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, log
from typing import Any

from relay.domain.backlog import Backlog
from relay.domain.by_age import ByAge
from relay.domain.by_order import ByOrder
from relay.domain.candidate import NOBODY, Candidate, Entry, Proposal

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
    """The two views of an operation. Each learns from every answer; times are Unix seconds."""

    def __init__(self) -> None:
        self._trust, self._age, self._order = Trust(), ByAge(), ByOrder()
        self._picks = 0
        self.asked_at = -inf

    def add(self, candidate: Candidate) -> None:
        """Hear that there is such a candidate."""
        self._order.add(candidate)

    def put(self, entry: Entry) -> None:
        """Let it be picked."""
        self._age.put(entry)
        self._order.put(entry)

    def take(self, candidate: Candidate, now: float) -> None:
        """Hear that it is being asked."""
        self._picks += 1
        self.asked_at = now
        self._order.ahead.take(candidate)

    def give_back(self, candidate: Candidate) -> None:
        """Hear that it is being asked no more."""
        self._order.ahead.give_back(candidate)

    def drop(self, candidate: Candidate) -> None:
        """Forget it."""
        self._order.drop(candidate)

    def scout(self) -> Candidate | None:
        """Return whom to look at whatever is expected of it, if it is time for that."""
        return self._order.scout(self._picks + 1) if self._trust.in_order else None

    def best(self, then: float) -> Proposal:
        """Return whom it is worth most to have looked at by `then`, as the view whose pick it is sees it.

        The longer the view by order has looked ahead in vain, the fewer of the picks are left to it.
        """
        every = 1 + self._order.front.misses // LOST_AFTER
        asks_order = self._trust.in_order and (self._picks + 2) % every == 0  # + 2: the guard has the multiples of four
        proposal = self._order.best(then) if asks_order else NOBODY
        return proposal if proposal.candidate is not None else self._age.best(then)

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

    def hear(self, backlog: Backlog, at: float) -> bool:
        """Hear how the queue stood upstream at `at`, and return whether that was news."""
        return self._trust.in_order and self._order.hear(backlog, at)

    @property
    def ahead(self) -> int:
        """How many tasks no later one has overtaken."""
        return self._order.ahead.count

    @property
    def passed(self) -> list[Candidate]:
        """Those that the last answer or hint has overtaken."""
        return self._order.passed

    def finished_by(self, candidate: Candidate, *, chance: float) -> float:
        """Return when it will have ended with this chance, as the view in charge sees it."""
        return self._in_charge.finished_by(candidate, chance=chance)

    def learned(self) -> dict[str, Any]:
        """Return what was learned, by name."""
        return {"trust": self._trust, "by_age": self._age.hazard} | self._order.learned()

    def recall(self, learned: Mapping[str, Any]) -> None:
        """Go on from what another had learned."""
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


def _log_likelihood(chance: float, *, finished: bool) -> float:
    bounded = min(1 - LEAST_CHANCE, max(LEAST_CHANCE, chance))
    return log(bounded if finished else 1 - bounded)
