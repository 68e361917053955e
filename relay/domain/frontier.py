"""What is learned of a queue's front: how fast it moves, how many workers it has, and how many tasks stray behind it.

All is learned from two things: the first look at the oldest task never looked at, and later looks at those found
unfinished near the front.
"""

from dataclasses import dataclass, field
from math import exp, inf, sqrt
from statistics import NormalDist

from relay.domain.hazard import HIGHEST, mean_time_to_hit

KEPT_AT_HIT = 0.98  # remembers about 50 hits: the front's pace changes within minutes, a hazard by age within hours
KEPT_BY_GAPS = 0.998  # remembers about 500 gaps: pauses are rare and must be among them
GAPS_PRIOR = 0.1  # as if one tenth of a gap of about a second had been seen
BLOCK = 20  # gaps: shorter ones take for uneven what the moments of the looks were
SEEN_LATE = 1.0  # gaps that the front has gone on, on the average, by the time it is seen to have advanced
RANKS = 8  # so many unfinished tasks at the front are watched
RANK_GROUPS = 4  # ranks 0, 1, 2-3 and 4-7 learn one rate each
BEYOND_RATE = 1e-6  # 1/s: of one too far back to be watched nothing is expected
DRIFT = 0.25  # a hit is put this far into the time that it may have taken
TOLD_S = 5.0  # a pace told by the upstream counts as if it had been observed for so long
LEARNED = 0.5  # of a widening by e, for one that ended too late: a dozen of them make up for most that is wrong
NARROWEST, WIDEST = -0.2, 1.5  # powers of e
ORDINARY = 0.99  # a gap that is longer than so many is a standstill
LEAST_S = 1e-3  # no time between two looks counts for less, so that no rate is infinite


@dataclass(slots=True)
class Front:
    """The front's pace.

    `passed_at` (Unix seconds) is about when it was last known to be no further, and `came_at` when it came to the task
    that is now first of those ahead. `hits` in `exposure_s` are first looks at the front, `strays` of `overtaken` tasks
    were found unfinished, `misses` counts the looks ahead since the last hit there.
    """

    hits: float = 1.0
    exposure_s: float = field(default=0.5, metadata={"least": LEAST_S})
    strays: float = 1.0
    overtaken: float = field(default=10.0, metadata={"least": 1.0})
    misses: int = 0
    passed_at: float = 0.0
    came_at: float = 0.0

    @property
    def rate(self) -> float:
        """How many tasks it passes in a second."""
        return self.hits / max(LEAST_S, self.exposure_s)

    def learn_first_look(self, since: float, at: float, *, finished: bool) -> None:
        """Learn from the first look at the task that is next: whether the front has come by since `since`.

        A miss says that it has not come so far, or else that all the last misses met strays.
        """
        seconds = max(LEAST_S, at - since)
        if finished:
            spent_s = mean_time_to_hit(self.rate, seconds)
            self.passed_at = ended_at(self.rate, since, at)
            self.hits, self.exposure_s = self.hits * KEPT_AT_HIT + 1, self.exposure_s * KEPT_AT_HIT + spent_s
        else:
            not_come = exp(-min(self.rate * seconds, HIGHEST))
            all_strays = (self.strays / self.overtaken) ** self.misses
            self.exposure_s += seconds
            self.passed_at = since + seconds * not_come / (not_come + all_strays)

    def learn_pace(self, per_s: float) -> None:
        """Learn how many tasks the upstream says it ends in a second."""
        self.hits += per_s * TOLD_S
        self.exposure_s += TOLD_S

    def learn_overtaken(self, *, finished: bool) -> None:
        """Learn from the first look at a task that the front has passed."""
        self.strays = KEPT_AT_HIT * self.strays + (not finished)
        self.overtaken = KEPT_AT_HIT * self.overtaken + 1


@dataclass(slots=True)
class RankRates:
    """How fast those end that wait at the front, by rank: with one worker only the first does, with many all do."""

    hits: list[float] = field(default_factory=lambda: [1.0] * RANK_GROUPS)
    exposure_s: list[float] = field(
        default_factory=lambda: [0.5 * 2**group for group in range(RANK_GROUPS)], metadata={"least": LEAST_S}
    )

    def rate(self, rank: int) -> float:
        """Return the hazard (1/s) of the one of this rank, the first having 0."""
        group = _group(rank)
        return self.hits[group] / max(LEAST_S, self.exposure_s[group]) if rank < RANKS else BEYOND_RATE

    def learn(self, rank: int, seconds: float, *, finished: bool) -> None:
        """Learn from a look at the one of this rank, `seconds` after the last look at it."""
        if rank >= RANKS:
            return
        group, seconds = _group(rank), max(LEAST_S, seconds)
        spent_s = mean_time_to_hit(self.rate(rank), seconds) if finished else seconds
        if finished:
            self.hits = [hits * KEPT_AT_HIT for hits in self.hits]
            self.exposure_s = [exposure_s * KEPT_AT_HIT for exposure_s in self.exposure_s]
            self.hits[group] += 1
        self.exposure_s[group] += spent_s


@dataclass(slots=True)
class Throughput:
    """How fast the front passes one task after the other: the gaps between them, and how uneven these are.

    `gaps` counts them and `seconds` is the sum of their lengths; `variances` is the sum, over `blocks` of 20 or more
    gaps in a row, of the variance that a gap has to judge by them; older ones weigh less. `block_gaps` and `block_s`
    are those of the block that has begun. `last_at` (Unix seconds) is when the front was last seen to advance,
    `stood_at` when it was last seen not to have, for `stood_s` by then. `widening` is by which power of e the spread of
    what is foretold has to be greater than the gaps make it, as what came of it has shown.

    Single gaps would not do: when they are seen depends on the polls, and one seen late makes the next one short.
    """

    gaps: float = 0.0
    seconds: float = 0.0
    blocks: float = 0.0
    variances: float = 0.0
    block_gaps: int = 0
    block_s: float = 0.0
    last_at: float = 0.0
    stood_at: float = 0.0
    stood_s: float = 0.0
    widening: float = field(default=0.0, metadata={"least": NARROWEST})

    def learn_advance(self, tasks: int, since: float, at: float) -> None:
        """Learn that the front has passed so many tasks by `at`; what was before `since` is not held against it."""
        if self.last_at > 0:
            gap_s = max(0.0, at - max(since, self.last_at))
            kept = KEPT_BY_GAPS**tasks
            self.gaps = self.gaps * kept + tasks
            self.seconds = self.seconds * kept + gap_s
            self.block_gaps, self.block_s = self.block_gaps + tasks, self.block_s + gap_s
            if self.block_gaps >= BLOCK:
                self._end_block(KEPT_BY_GAPS**self.block_gaps)
        self.last_at, self.stood_s = max(at, self.last_at), 0.0

    def learn_pace(self, per_s: float) -> None:
        """Learn how many tasks the upstream says it ends in a second."""
        self.gaps += per_s * TOLD_S
        self.seconds += TOLD_S

    def learn_standstill(self, since: float, at: float) -> None:
        """Learn that the front has not gone on by `at`; what was before `since` is not held against it."""
        self.stood_s, self.stood_at = max(0.0, at - max(since, self.last_at)), max(at, self.stood_at)

    def learn_outcome(self, *, kept: bool, chance: float) -> None:
        """Learn whether a task had ended by when it was to, with this chance."""
        wider = self.widening + LEARNED * (chance - kept)
        self.widening = min(WIDEST, max(NARROWEST, wider))

    @property
    def resuming_rate(self) -> float:
        """At most how fast (1/s) the front goes on: one that stands still goes on doing so, at a hazard of 1/age."""
        return 1 / self.stood_s if self._stands else inf

    def passed_by(self, tasks: int, *, submitted_at: float, unfinished_at: float, chance: float) -> float:
        """Return when it will have passed so many tasks with this chance, the last of which was then unfinished.

        What stands still ends within nine times that with a chance of 90 %, as its hazard is 1/age.
        """
        since = max(submitted_at, self.last_at, self.stood_at)
        needed_s = self._needed_s(
            tasks, seen_late=SEEN_LATE if since == self.last_at else 0.0, wider=exp(self.widening)
        )
        if since == self.stood_at and self._stands:
            since += self.stood_s * chance / (1 - chance)
        gone = needed_s.cdf(unfinished_at - since)
        if gone > ORDINARY:  # it is overdue, so it is next
            return unfinished_at + max(0.0, self._needed_s(1).inv_cdf(chance))
        return since + max(0.0, needed_s.inv_cdf(gone + (1 - gone) * chance))

    def _needed_s(self, tasks: int, *, seen_late: float = 0.0, wider: float = 1.0) -> NormalDist:
        """Return the seconds that it needs for so many tasks, spread so many times as wide as the gaps make it.

        By renewal theory the sum of n gaps is about normal, with n times the mean and n times the variance of one; to
        that comes what is unknown of the mean itself.
        """
        variance = (self.variances + GAPS_PRIOR * self._mean_s**2) / (self.blocks + GAPS_PRIOR)
        spread_s = sqrt(variance * (tasks + tasks * tasks / (self.gaps + GAPS_PRIOR)))
        return NormalDist((tasks - seen_late) * self._mean_s, max(LEAST_S, spread_s * wider))

    @property
    def _stands(self) -> bool:
        """Whether it has stood still for longer than a gap explains."""
        return self.stood_s > self._needed_s(1).inv_cdf(ORDINARY)

    @property
    def _mean_s(self) -> float:
        return (self.seconds + GAPS_PRIOR) / (self.gaps + GAPS_PRIOR)

    def _end_block(self, kept: float) -> None:
        off_s = self.block_s - self.block_gaps * self._mean_s
        self.blocks = self.blocks * kept + 1
        self.variances = self.variances * kept + off_s * off_s / self.block_gaps
        self.block_gaps, self.block_s = 0, 0.0


def ended_at(rate: float, since: float, at: float) -> float:
    """Return about when a task ended that was found finished at `at`, its hazard (1/s) having run since `since`."""
    return since + DRIFT * mean_time_to_hit(rate, max(LEAST_S, at - since))


def _group(rank: int) -> int:
    return min(RANK_GROUPS, (rank + 1).bit_length()) - 1
