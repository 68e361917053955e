"""What an operation's answers make one expect: three views of it, and the best predictor of late in charge."""

from collections.abc import Mapping
from math import inf
from typing import Any

from relay.domain.backlog import Backlog
from relay.domain.by_age import ByAge
from relay.domain.by_order import ByOrder
from relay.domain.by_start import ByStart
from relay.domain.candidate import Candidate, Entry, Proposal
from relay.domain.trust import Trust, View

LOST_AFTER = 64  # misses in a row ahead; half as many slow down a queue that only pauses, more serve its opposite later
LOST_AT_FIRST = 16  # before anything was ever seen to end, little speaks for an order
LOST_MOST = 8  # but every eighth pick is left to it: a queue that has stood still for hours goes on some time


class Outlook:
    """The views of an operation. Each learns from every answer; times are Unix seconds."""

    def __init__(self) -> None:
        self._trust, self._order, self._age, self._start = Trust(), ByOrder(), ByAge(), ByStart()
        self._views: dict[View, ByOrder | ByAge | ByStart] = {
            View.ORDER: self._order,
            View.AGE: self._age,
            View.START: self._start,
        }
        self._picks = 0
        self.asked_at = -inf

    def add(self, candidate: Candidate) -> None:
        """Hear that there is such a candidate."""
        self._order.add(candidate)

    def put(self, entry: Entry) -> None:
        """Let it be picked."""
        for view in self._views.values():
            view.put(entry)

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
        self._start.drop(candidate)

    def scout(self) -> Candidate | None:
        """Return whom to look at whatever is expected of it, if it is time for that."""
        return self._order.scout(self._picks + 1) if self._goes_by_order else None

    def best(self, then: float) -> Proposal:
        """Return whom it is worth most to have looked at by `then`, as the view whose pick it is sees it.

        The longer the view by order has looked ahead in vain, the fewer of the picks are left to it.
        """
        lost = self._order.front.misses // (LOST_AFTER if self._order.throughput.last_at else LOST_AT_FIRST)
        every = min(LOST_MOST, 1 + lost)
        view = self._in_charge
        if view is self._order and (self._picks + 2) % every != 0:  # + 2: the guard has the multiples of four
            view = self._age
        proposal = view.best(then)
        return self._age.best(then) if proposal.candidate is None else proposal

    def worth(self, candidate: Candidate, then: float) -> float:
        """Return what it is worth (s) to have looked at it by `then`, as the view in charge sees it."""
        return candidate.weight * self._in_charge.worth(candidate, then)

    def learn(self, candidate: Candidate, at: float, *, finished: bool) -> None:
        """Learn from a look at it at `at`."""
        chances = {name: view.chance(candidate, at) for name, view in self._views.items()}
        leader = self._trust.in_charge
        if leader is not View.ORDER:  # the front forgets by itself, and who does not lead may be wrong for a while
            self._views[leader].hazard.doubt(chances[leader], finished=finished)
        self._trust.learn(chances, finished=finished)
        if not candidate.looked_at:
            self._start.check(candidate, chance=chances[View.AGE], finished=finished)
        for view in self._views.values():
            view.learn(candidate, at, finished=finished)
        if self._order.refuted:
            self._trust.refute_order()
        starts = self._start.starts
        self._trust.judge_start(possible=starts.possible, evidence=starts.evidence, proved=starts.proved)

    def hear(self, backlog: Backlog, at: float) -> bool:
        """Hear how the queue stood upstream at `at`, and return whether that was news."""
        return self._goes_by_order and self._order.hear(backlog, at)

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
        for view in self._views.values():
            view.hazard.sum_up()
        by_start = {"by_start": self._start.hazard, "starts": self._start.starts}
        return {"trust": self._trust, "by_age": self._age.hazard} | by_start | self._order.learned()

    def recall(self, learned: Mapping[str, Any]) -> None:
        """Go on from what another had learned."""
        self._trust = learned["trust"]
        self._age.hazard, self._start.hazard = learned["by_age"], learned["by_start"]
        self._start.starts = learned["starts"]
        self._order.recall(learned)

    def sweep(self) -> None:
        for view in self._views.values():
            view.sweep()

    def __len__(self) -> int:
        return sum(len(view) for view in self._views.values())

    @property
    def _in_charge(self) -> ByOrder | ByAge | ByStart:
        return self._views[self._trust.in_charge]

    @property
    def _goes_by_order(self) -> bool:
        return self._trust.in_charge is View.ORDER
