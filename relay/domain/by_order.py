"""The view by order: tasks end about in the order in which they were submitted, as a frontier passes through them.

Those **ahead** of it nobody has overtaken: of the unseen only the first (of each weight) is worth a look, and the first
few of those that wait are being worked on. Once one behind them has been seen finished, they are **overtaken**: in a
strict queue they have ended too, unless they stray (a retry, one that is stuck), and a hazard on the clock since then
tells.
"""

from collections.abc import Mapping
from itertools import chain
from math import expm1
from operator import itemgetter
from typing import Any

from relay.domain.ahead import Ahead
from relay.domain.backlog import Backlog
from relay.domain.candidate import NOBODY, NOWHERE, Candidate, Entry, Proposal, Shelves
from relay.domain.claims import Claims
from relay.domain.foretold import CHANCE, Foretold
from relay.domain.frontier import RANKS, Front, RankRates, Throughput, ended_at
from relay.domain.hazard import Hazard, steady_worth
from relay.domain.scouts import Scouts

REACH = 128  # a hit further ahead than so many tasks is no frontier: that task was refused at once, say
SCOUTED = 112  # about so many tasks behind the front, within reach: of 64 workers one may well be done with the 64th
OUT_OF_ORDER = 64  # a hit so far behind the front is news of the order
FAR = 16  # so many tasks ahead of the frontier nothing is expected any more, and counting further only costs time


class ByOrder:
    """Predicts from where the frontier is. Times are Unix seconds."""

    def __init__(self) -> None:
        self.front = Front()
        self.ranks = RankRates()
        self.throughput = Throughput()
        self.hazard = Hazard()
        self.ahead = Ahead()
        self._overtaken = Shelves()
        self._scouts = Scouts()
        self._claims = Claims()
        self.passed: list[Candidate] = []  # overtaken by the last answer
        self.refuted = False  # by the last answer
        self._foretold = Foretold()

    def add(self, candidate: Candidate) -> None:
        """Hear that there is such a candidate."""
        self.ahead.count += candidate.overtaken_at is None

    def put(self, entry: Entry) -> None:
        """Let it be picked."""
        candidate = entry.candidate
        if candidate.overtaken_at is not None:
            self._put_overtaken(candidate)
        else:
            self.ahead.put(candidate)

    def drop(self, candidate: Candidate) -> None:
        """Forget it."""
        self.ahead.count -= candidate.overtaken_at is None
        self.ahead.drop(candidate)
        self._scouts.dismiss(candidate)
        self._claims.dropped(candidate)
        self._foretold.drop(candidate)

    def best(self, then: float) -> Proposal:
        """Return the candidate that it would be worth most to have looked at by `then`."""
        candidates = chain(self._overtaken.heads(), self.ahead.next_ones())
        proposals = (Proposal(each.weight * self.worth(each, then), each) for each in candidates)
        return max(proposals, key=itemgetter(0), default=NOBODY)

    def scout(self, pick: int) -> Candidate | None:
        """Return a scout that is to be looked at with this pick of the operation's, if it is time for that."""
        if not self._scouts.due(pick):
            return None
        for each in self._scouts:
            if self._is_near(each):
                self._scouts.dismiss(each)
        recruit = self.ahead.behind(SCOUTED) if self._scouts.wanted() else None
        if recruit is not None and not self._is_near(recruit):
            self._scouts.recruit(recruit)
        return self._scouts.send(pick)

    def worth(self, candidate: Candidate, then: float) -> float:
        """Return what it is worth (s) to have looked at it by `then`, its weight not counted."""
        if candidate.overtaken_at is not None:
            return self.hazard.worth(*_overtaken_clock(candidate, then))
        rate, since = self._rate_ahead(candidate)
        return steady_worth(rate, max(0.0, then - since))

    def chance(self, candidate: Candidate, at: float) -> float:
        """Return the chance that it is finished at `at`."""
        if candidate.overtaken_at is not None:
            return self.hazard.chance(*_overtaken_clock(candidate, at))
        rate, since = self._rate_ahead(candidate)
        return -expm1(-rate * max(0.0, at - since))

    def learn(self, candidate: Candidate, at: float, *, finished: bool) -> None:
        """Learn from a look at it at `at`, before anything else is told of that."""
        self.passed, self.refuted = [], False
        self._foretell(at)
        if candidate.overtaken_at is None:
            self._learn_ahead(candidate, at, finished=finished)
            return
        if finished:
            strayed = candidate.unfinished_at > candidate.overtaken_at
            self._learn_outcome(candidate, at if strayed else candidate.overtaken_at)
        self._claims.checked(candidate, finished=finished)
        if candidate.unfinished_at <= candidate.overtaken_at:
            self.front.learn_overtaken(finished=finished)
        self.hazard.learn(*_overtaken_clock(candidate, at), finished=finished)

    def hear(self, backlog: Backlog, at: float) -> bool:
        """Hear how the queue stood at `at`; return whether the front is further than was known.

        When fewer are pending upstream than are ahead of the front here, the first of these have ended.
        """
        if backlog.per_s > 0:
            self.front.learn_pace(backlog.per_s)
            self.throughput.learn_pace(backlog.per_s)
        self.passed = self.ahead.take_first(min(self.ahead.count - backlog.pending, self._claims.allowed()))
        self._claims.made(self.passed)
        self._overtake(at)
        return len(self.passed) > 0

    def finished_by(self, candidate: Candidate, *, chance: float) -> float:
        """Return when it will have ended with this chance: once the frontier has come by, and about where it then is.

        That it may stray is left out for as long as it is ahead: few do, and hours later.
        """
        if candidate.overtaken_at is not None:
            seen_s = max(0.0, candidate.unfinished_at - candidate.overtaken_at)
            return candidate.overtaken_at + self.hazard.reached_at(seen_s, chance)
        return self.throughput.passed_by(
            self.ahead.place(candidate),
            submitted_at=candidate.submitted_at,
            unfinished_at=candidate.unfinished_at,
            chance=chance,
        )

    def learned(self) -> dict[str, object]:
        """Return what it has learned, by name."""
        return {"front": self.front, "ranks": self.ranks, "overtaken": self.hazard, "throughput": self.throughput}

    def recall(self, learned: Mapping[str, Any]) -> None:
        """Go on from what another had learned."""
        self.front, self.ranks = learned["front"], learned["ranks"]
        self.hazard, self.throughput = learned["overtaken"], learned["throughput"]

    def sweep(self) -> None:
        self.ahead.sweep()
        self._overtaken.sweep()

    def __len__(self) -> int:
        return len(self.ahead) + len(self._overtaken)

    def _learn_ahead(self, candidate: Candidate, at: float, *, finished: bool) -> None:
        ahead = self.ahead.count_before(candidate, limit=REACH) if finished else 0
        self.refuted = candidate in self._scouts and ahead >= OUT_OF_ORDER
        if self.refuted:
            self._scouts.start_anew()
        within_reach = finished and ahead < REACH
        rate, since = self._rate_ahead(candidate)
        self.front.misses = 0 if within_reach else self.front.misses + 1
        if not finished and self.ahead.rank(candidate) == 0:
            self.throughput.learn_standstill(candidate.submitted_at, at)
        if candidate.looked_at:
            self.ranks.learn(self.ahead.rank(candidate), at - since, finished=finished)
        elif self.ahead.count_unseen_before(candidate, limit=1) == 0:
            self.front.learn_first_look(since, at, finished=finished)
        ended = ended_at(rate, since, at)
        if finished:
            self._learn_outcome(candidate, ended)
            self.ahead.count -= 1
            self.ahead.drop(candidate)
        if within_reach:
            self.passed = self.ahead.take_before(candidate)
            self._overtake(at)
            self.front.came_at = ended
            self.throughput.learn_advance(1 + len(self.passed), candidate.submitted_at, at)

    def _foretell(self, at: float) -> None:
        part = self._foretold.sample()
        one = None if part is None else self.ahead.behind(int(part * len(self.ahead)))
        if one is not None and one not in self._foretold and self.throughput.last_at > 0:
            self._foretold.note(one, max(at, self.finished_by(one, chance=CHANCE)))

    def _learn_outcome(self, candidate: Candidate, ended: float) -> None:
        kept = self._foretold.kept(candidate, ended)
        if kept is not None:
            self.throughput.learn_outcome(kept=kept, chance=CHANCE)

    def _overtake(self, at: float) -> None:
        self.ahead.count -= len(self.passed)
        for each in self.passed:
            each.overtaken_at = at
            self._scouts.dismiss(each)
            if each.place != NOWHERE:
                self._put_overtaken(each)

    def _put_overtaken(self, candidate: Candidate) -> None:
        if candidate.overtaken_at is not None:
            since = max(candidate.overtaken_at, candidate.unfinished_at)
            entry = Entry(since, candidate.arrival, candidate.place, candidate)
            self._overtaken.push(entry, clock_s=since - candidate.overtaken_at)

    def _is_near(self, candidate: Candidate) -> bool:
        return self.ahead.rank(candidate) < RANKS

    def _rate_ahead(self, candidate: Candidate) -> tuple[float, float]:
        """Return the hazard (1/s) of one that nobody has overtaken, and since when it has run."""
        if candidate.looked_at:
            return self._rate_waiting(candidate)
        distance = self.ahead.count_unseen_before(candidate, limit=FAR) + self.ahead.count_unwatched()
        return self.front.rate / (1 + distance), max(candidate.submitted_at, self.front.passed_at)

    def _rate_waiting(self, candidate: Candidate) -> tuple[float, float]:
        rank = self.ahead.rank(candidate)
        if rank > 0:
            return self.ranks.rate(rank), candidate.unfinished_at
        rate = min(self.ranks.rate(rank), self.throughput.resuming_rate)
        return rate, max(candidate.unfinished_at, self.front.came_at)


def _overtaken_clock(candidate: Candidate, at: float) -> tuple[float, float]:
    """Return what its clock since it was overtaken showed when it was last seen, and shows at `at` (seconds)."""
    overtaken_at = at if candidate.overtaken_at is None else candidate.overtaken_at
    return max(0.0, candidate.unfinished_at - overtaken_at), max(0.0, at - overtaken_at)
