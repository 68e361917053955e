"""The view by start: a task is begun when it is first asked about, so that its clock runs from its first look.

There is nothing to be found at a first look, and nothing comes to an end before it. So whoever was looked at and has
most likely ended comes first, which frees a look for good, and then the one that waits for its first look the longest.

A queue can look the same to whoever asks along in its order. So this view may lead only while first looks find
nothing, and it holds one task back, unasked, until some behind it have ended: in a queue that one has ended too.
"""

from dataclasses import dataclass
from operator import itemgetter

from relay.domain.candidate import NOBODY, NOWHERE, Candidate, Entry, Line, Proposal, Shelves, by_submission
from relay.domain.hazard import SURE_ODDS, Hazard

LIKELY = 0.9  # while others wait for their first look, a later one is to be spent on such a chance only
FEWEST, MOST_HITS = 12, 0.5  # first looks in a row that found nothing, and those that did among the last
KEPT = 0.998  # five hundred or so: a queue may stand still for hundreds of first looks
PROOFS = 2
HELD_FOR = 8  # ends behind the one held back; a quarter more when that did not tell
HOLD_EVERY = 64  # first looks until another one is held back


@dataclass(slots=True)
class Starts:
    """What is known of first looks.

    `misses` in a row found nothing, `hits` did of late, and `proofs` in a row of those held back were not begun
    although some behind them had ended.
    """

    misses: int = 0
    hits: float = 0.0
    proofs: int = 0

    @property
    def open(self) -> bool:
        """Whether it is worth following up: of late, first looks found nothing."""
        return self.hits < MOST_HITS

    @property
    def possible(self) -> bool:
        """Whether tasks may be begun when they are first asked about."""
        return self.misses >= FEWEST and self.open

    @property
    def evidence(self) -> float:
        """How much (nats) speaks for it: a queue that finds nothing so often is as rare."""
        return self.misses / FEWEST

    @property
    def proved(self) -> bool:
        """Whether they surely are: one proof can be a stray."""
        return self.proofs >= PROOFS

    def learn(self, *, finished: bool) -> None:
        """Learn from a first look."""
        self.hits = KEPT * self.hits + finished
        self.misses = 0 if finished else self.misses + 1
        self.proofs = 0 if finished else self.proofs


class ByStart:
    """Predicts from a hazard by the time since the first look. Times are Unix seconds."""

    def __init__(self) -> None:
        self.hazard, self.starts = Hazard(), Starts()
        self._shelves = Shelves()
        self._unseen: dict[float, Line] = {}  # by weight
        self._held: Candidate | None = None
        self._ended_behind, self._held_for = 0, float(HELD_FOR)
        self._hold_in = 0  # first looks

    def put(self, entry: Entry) -> None:
        """Let it be picked."""
        candidate = entry.candidate
        if candidate.looked_at:
            self._shelves.push(entry, clock_s=_clock(candidate, candidate.unfinished_at))
        else:
            self._unseen.setdefault(candidate.weight, Line()).push(by_submission(candidate))

    def drop(self, candidate: Candidate) -> None:
        """Forget it."""
        if candidate is self._held:
            self._held = None

    def best(self, then: float) -> Proposal:
        """Return the candidate that it would be worth most to have looked at by `then`."""
        self._hold_back()
        if self._held is not None and self._ended_behind >= self._held_for and self._held.place != NOWHERE:
            return self._most([self._held], then)
        seen = self._most(self._shelves.heads(), then)
        if seen.candidate is not None and self.chance(seen.candidate, then) >= LIKELY:
            return seen
        heads = [head for line in self._unseen.values() if (head := line.head()) is not None]
        unseen = self._most(heads, then)
        return seen if unseen.candidate is None else unseen

    def worth(self, candidate: Candidate, then: float) -> float:
        """Return what it is worth (s) to have looked at it by `then`, its weight not counted."""
        if not candidate.looked_at:
            return SURE_ODDS * candidate.age_at(then)
        return self.hazard.worth(_clock(candidate, candidate.unfinished_at), _clock(candidate, then))

    def chance(self, candidate: Candidate, at: float) -> float:
        """Return the chance that it is finished at `at`."""
        if not (candidate.looked_at and self.starts.open):
            return 0.0
        return self.hazard.chance(_clock(candidate, candidate.unfinished_at), _clock(candidate, at))

    def learn(self, candidate: Candidate, at: float, *, finished: bool) -> None:
        """Learn from a look at it at `at`."""
        if candidate.looked_at and self.starts.open:
            self.hazard.learn(_clock(candidate, candidate.unfinished_at), _clock(candidate, at), finished=finished)
        if finished and self._held is not None and self._held < candidate:
            self._ended_behind += 1

    def check(self, candidate: Candidate, *, chance: float, finished: bool) -> None:
        """Learn from a first look at it; `chance` of being finished is what others gave it by its age.

        One that was held back and is unfinished, against all odds, proves that it was not begun either.
        """
        self._hold_in -= 1
        self.starts.learn(finished=finished)
        if candidate is self._held:
            self._held = None
            against_all_odds = chance >= LIKELY and self._ended_behind >= self._held_for
            self.starts.proofs += against_all_odds and not finished
            self._held_for = HELD_FOR if against_all_odds else 1.25 * self._held_for
            self._hold_in = HOLD_EVERY if self.starts.proved else 0

    def finished_by(self, candidate: Candidate, *, chance: float) -> float:
        """Return when it will have ended with this chance, begun at once if it is not yet."""
        seen_s = _clock(candidate, candidate.unfinished_at)
        return candidate.unfinished_at - seen_s + self.hazard.reached_at(seen_s, chance)

    def sweep(self) -> None:
        self._shelves.sweep()
        for line in self._unseen.values():
            line.sweep()
        self._unseen = {weight: line for weight, line in self._unseen.items() if len(line) > 0}

    def __len__(self) -> int:
        return len(self._shelves) + sum(map(len, self._unseen.values()))

    def _hold_back(self) -> None:
        """Hold back the first of those who wait for their first look, if it is time for that."""
        if self._held is None and self._hold_in <= 0 and len(self._shelves) > HELD_FOR:
            line = max(self._unseen.values(), key=len, default=None)
            self._held, self._ended_behind = None if line is None else line.pop(), 0

    def _most(self, candidates: list[Candidate], then: float) -> Proposal:
        proposals = (Proposal(each.weight * self.worth(each, then), each) for each in candidates)
        return max(proposals, key=itemgetter(0), default=NOBODY)


def _clock(candidate: Candidate, at: float) -> float:
    """Return how long before `at` it was first looked at, 0 when it was not (seconds)."""
    return 0.0 if candidate.first_look_at is None else max(0.0, at - candidate.first_look_at)
