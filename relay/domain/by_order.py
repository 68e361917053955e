"""The view by order: tasks end about in the order in which they were submitted, as a frontier passes through them.

A candidate stands in one of three places. **Unseen**: never looked at; only the first (of each weight) is worth a
look. **Waiting**: looked at and unfinished, nobody behind it known to be finished; the first few of them are being
worked on. **Overtaken**: one behind it has finished; in a strict queue it has too, unless it strays (a retry, one
that is stuck), and a hazard on the clock since then tells.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from itertools import chain
from math import expm1
from operator import itemgetter
from typing import Any

from relay.domain.candidate import NOWHERE, Candidate, Entry, Line, Shelves, by_submission
from relay.domain.frontier import BEYOND_RATE, RANKS, Front, RankRates, Throughput
from relay.domain.hazard import Hazard, steady_worth

REACH = 128  # a hit further ahead than so many tasks is no frontier: that task was refused at once, say

SCOUTS = 1  # two find a wrong order sooner, and cost a queue twice as much
SCOUTED = 64  # about so many tasks behind the front, within reach
SCOUT_LEAST = 8  # with fewer ahead of it the front will be there soon
SCOUT_FIRST, SCOUT_LAST = 8, 256  # a look at a scout after so many picks, then after twice as many
OUT_OF_ORDER = 32  # a hit so far behind the front is news of the order
FAR = 16  # so many tasks ahead of the frontier nothing is expected any more, and counting further only costs time


class ByOrder:
    """Predicts from where the frontier is. Times are Unix seconds."""

    def __init__(self) -> None:
        self.front = Front()
        self.ranks = RankRates()
        self.throughput = Throughput()
        self.hazard = Hazard()
        self._unseen: dict[float, Line] = {}
        self._being_asked: list[Candidate] = []  # those of the unseen
        self._waiting: list[Candidate] = []  # in order, those being asked included
        self._overtaken = Shelves()
        self._scouts: list[Candidate] = []
        self._scout_at = self._scout_every = SCOUT_FIRST  # picks
        self.passed: list[Candidate] = []  # overtaken by the last answer
        self.refuted = False  # by the last answer

    def put(self, entry: Entry) -> None:
        """Take in a candidate that may be picked."""
        candidate = entry.candidate
        if candidate.overtaken_at is not None:
            self._put_overtaken(candidate)
        elif not candidate.looked_at:
            self._unseen.setdefault(candidate.weight, Line()).push(by_submission(candidate))
        elif self._rank(candidate) is None and candidate not in self._scouts:
            insort(self._waiting, candidate)

    def take(self, candidate: Candidate) -> None:
        """Hear that it is being asked: it is no candidate, and has its place in the order nevertheless."""
        if not candidate.looked_at and candidate.overtaken_at is None:
            self._being_asked.append(candidate)

    def give_back(self, candidate: Candidate) -> None:
        """Hear that it is being asked no more."""
        if candidate in self._being_asked:
            self._being_asked.remove(candidate)

    def drop(self, candidate: Candidate) -> None:
        """Forget it."""
        self.give_back(candidate)
        rank = self._rank(candidate)
        if rank is not None:
            del self._waiting[rank]
        if candidate in self._scouts:
            self._scouts.remove(candidate)

    def best(self, then: float) -> Candidate | None:
        """Return the candidate that it would be worth most to have looked at by `then`."""
        passed = ((each.weight * self._worth_overtaken(each, then), each) for each in self._overtaken.heads())
        ahead = ((each.weight * self._worth_ahead(each, then), each) for each in self._ahead())
        return max(chain(passed, ahead), key=itemgetter(0), default=(0.0, None))[1]

    def scout(self, pick: int) -> Candidate | None:
        """Return one far behind the front, of a few that are looked at now and then whatever is expected of them.

        In a queue they tell nothing. But where a task is begun only when it is first asked about, or each takes its
        own time, whoever looks at the front alone finds what looks like a queue for ever. The longer the scouts tell
        nothing, the fewer of the picks they get.
        """
        if pick < self._scout_at:
            return None
        self._scouts = [each for each in self._scouts if each.overtaken_at is None]
        if len(self._scouts) < SCOUTS and self._unseen:
            recruit = max(self._unseen.values(), key=len).behind(SCOUTED)
            if recruit is not None and self._count_before(recruit, limit=SCOUT_LEAST) >= SCOUT_LEAST:
                self._scouts.append(recruit)
        free = (each for each in self._scouts if each.place != NOWHERE)
        scout = min(free, key=lambda each: each.unfinished_at, default=None)
        if scout is not None:
            self._scout_at = pick + self._scout_every
            self._scout_every = min(SCOUT_LAST, 2 * self._scout_every)
        return scout

    def worth(self, candidate: Candidate, then: float) -> float:
        """Return what it is worth (s) to have looked at it by `then`, its weight not counted."""
        passed = candidate.overtaken_at is not None
        return self._worth_overtaken(candidate, then) if passed else self._worth_ahead(candidate, then)

    def chance(self, candidate: Candidate, at: float) -> float:
        """Return the chance that it is finished at `at`."""
        if candidate.overtaken_at is not None:
            return self.hazard.chance(*_overtaken_clock(candidate, at))
        rate, since = self._rate_ahead(candidate)
        return -expm1(-rate * max(0.0, at - since))

    def learn(self, candidate: Candidate, at: float, *, finished: bool) -> None:
        """Learn from a look at it at `at`, before anything else is told of that."""
        self.passed, self.refuted = [], False
        if candidate.overtaken_at is None:
            self._learn_ahead(candidate, at, finished=finished)
            return
        if candidate.unfinished_at <= candidate.overtaken_at:
            self.front.learn_overtaken(finished=finished)
        self.hazard.learn(*_overtaken_clock(candidate, at), finished=finished)

    def finished_by(self, candidate: Candidate, *, chance: float) -> float:
        """Return when it will have ended with this chance: once the frontier has come by, and it did not stray."""
        if candidate.overtaken_at is not None:
            seen_s = max(0.0, candidate.unfinished_at - candidate.overtaken_at)
            return candidate.overtaken_at + self.hazard.reached_at(seen_s, chance)
        passed_at = max(candidate.submitted_at, self.throughput.last_at)
        passed_at += self.throughput.time_for(self._distance(candidate), chance=chance)
        return passed_at + self.hazard.reached_at(0.0, chance)

    def learned(self) -> dict[str, object]:
        """Return what it has learned, by name."""
        return {"front": self.front, "ranks": self.ranks, "overtaken": self.hazard, "throughput": self.throughput}

    def recall(self, learned: Mapping[str, Any]) -> None:
        """Go on from what another had learned."""
        self.front, self.ranks = learned["front"], learned["ranks"]
        self.hazard, self.throughput = learned["overtaken"], learned["throughput"]

    def sweep(self) -> None:
        for line in self._unseen.values():
            line.sweep()
        self._unseen = {weight: line for weight, line in self._unseen.items() if len(line) > 0}
        self._overtaken.sweep()

    def __len__(self) -> int:
        lines = sum(map(len, self._unseen.values()))
        return lines + len(self._being_asked) + len(self._waiting) + len(self._scouts) + len(self._overtaken)

    def _learn_ahead(self, candidate: Candidate, at: float, *, finished: bool) -> None:
        ahead = self._count_before(candidate, limit=REACH) if finished else 0
        self.refuted = candidate in self._scouts and ahead >= OUT_OF_ORDER
        if self.refuted:
            self._scout_at, self._scout_every = 0, SCOUT_FIRST
        within_reach = finished and ahead < REACH
        rank = self._rank(candidate)
        self.front.misses = 0 if within_reach else self.front.misses + 1
        if rank is not None:
            self.ranks.learn(rank, at - candidate.unfinished_at, finished=finished)
            if finished:
                del self._waiting[rank]
        elif candidate not in self._scouts and self._count_unseen_before(candidate, limit=1) == 0:
            self.front.learn_first_look(self._rate_ahead(candidate)[1], at, finished=finished)
        if within_reach:
            passed = 1 + self._overtake_before(candidate, at)
            self.throughput.learn_advance(passed, candidate.submitted_at, at)

    def _overtake_before(self, candidate: Candidate, at: float) -> int:
        rank = bisect_left(self._waiting, candidate)
        overtaken = self._waiting[:rank]
        del self._waiting[:rank]
        overtaken += [each for each in self._being_asked if each < candidate]
        overtaken += [each for each in self._scouts if each < candidate and each not in overtaken]
        for line in self._unseen.values():
            overtaken += line.pop_before(candidate)
        self.passed = overtaken
        for each in overtaken:
            each.overtaken_at = at
            if each.place != NOWHERE:
                self._put_overtaken(each)
        return len(overtaken)

    def _put_overtaken(self, candidate: Candidate) -> None:
        if candidate.overtaken_at is not None:
            since = max(candidate.overtaken_at, candidate.unfinished_at)
            entry = Entry(since, candidate.arrival, candidate.place, candidate)
            self._overtaken.push(entry, clock_s=since - candidate.overtaken_at)

    def _ahead(self) -> Iterator[Candidate]:
        """Return those who may be next: the first of the waiting and, of each weight, the first never looked at."""
        self._call_in_scouts()
        yield from (each for each in self._waiting[:RANKS] if each.place != NOWHERE)
        yield from (head for line in self._unseen.values() if (head := line.head()) is not None)

    def _call_in_scouts(self) -> None:
        """Let a scout wait like others as soon as the front has come to it."""
        for each in [each for each in self._scouts if each.place != NOWHERE]:
            if each.overtaken_at is None and each.looked_at and self._count_before(each, limit=1) == 0:
                self._scouts.remove(each)
                insort(self._waiting, each)

    def _rank(self, candidate: Candidate) -> int | None:
        rank = bisect_left(self._waiting, candidate)
        return rank if rank < len(self._waiting) and self._waiting[rank] is candidate else None

    def _count_unseen_before(self, candidate: Candidate, *, limit: int) -> int:
        found = sum(each < candidate for each in self._being_asked)
        for line in self._unseen.values():
            found += line.count_before(candidate, limit=limit)
        return min(found, limit)

    def _count_before(self, candidate: Candidate, *, limit: int) -> int:
        waiting = bisect_left(self._waiting, candidate)
        return waiting if waiting >= limit else waiting + self._count_unseen_before(candidate, limit=limit)

    def _distance(self, candidate: Candidate) -> int:
        """Return about how many tasks have yet to end with it: exact when all were added in their order."""
        heads = (head for line in self._unseen.values() if (head := line.head()) is not None)
        first = min(chain(self._waiting[:1], self._being_asked, heads), default=candidate)
        ahead = len(self._waiting) + sum(map(len, self._unseen.values()))
        return max(1, min(candidate.arrival - first.arrival + 1, ahead))

    def _rate_ahead(self, candidate: Candidate) -> tuple[float, float]:
        """Return the hazard (1/s) of one that nobody has overtaken, and since when it has run."""
        if candidate in self._scouts:
            return BEYOND_RATE, candidate.unfinished_at
        if candidate.looked_at:
            return self.ranks.rate(bisect_left(self._waiting, candidate)), candidate.unfinished_at
        distance = self._count_unseen_before(candidate, limit=FAR)
        return self.front.rate / (1 + distance), max(candidate.submitted_at, self.front.passed_at)

    def _worth_ahead(self, candidate: Candidate, then: float) -> float:
        rate, since = self._rate_ahead(candidate)
        return steady_worth(rate, max(0.0, then - since))

    def _worth_overtaken(self, candidate: Candidate, then: float) -> float:
        return self.hazard.worth(*_overtaken_clock(candidate, then))


def _overtaken_clock(candidate: Candidate, at: float) -> tuple[float, float]:
    """Return what its clock since it was overtaken showed when it was last seen, and shows at `at` (seconds)."""
    overtaken_at = at if candidate.overtaken_at is None else candidate.overtaken_at
    return max(0.0, candidate.unfinished_at - overtaken_at), max(0.0, at - overtaken_at)
