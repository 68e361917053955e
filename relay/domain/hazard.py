"""How likely a task is to end, by how long some clock has run for it; learned from polls.

A poll never shows when a task ended, only that it was unfinished at one time and finished, or still not, at another:
the observations are censored. The hazard (events a second among those still unfinished) is taken as constant between
log-spaced edges; a hit is spread over the interval it fell into as the hazard itself would have it, one step of
expectation maximisation (Turnbull 1976).
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, expm1, inf, log1p

from relay.domain.operations import RETRIES_S

SCALE_S = (0.25 * 2 ** (step / 2) for step in range(32))  # up to 11,585 s; finer or coarser is worse
AROUND = 0.03  # before and after a retry's time, which the vendor tells, a bucket of its own
EDGES_S = tuple(
    sorted({0.0, *SCALE_S, *(after_s * (1 + side) for after_s in RETRIES_S for side in (-AROUND, AROUND)), inf})
)
BUCKETS = len(EDGES_S) - 1
PRIOR_EVENTS = 1.0
PRIOR_EXPOSURE_S = tuple(  # after a retry a quarter ends at once, and else h = 1/(1 + age)
    3 * (end - start) if any(start < after_s < end for after_s in RETRIES_S) else 1 + (start + min(end, 2 * start)) / 2
    for start, end in pairwise(EDGES_S)
)
KEPT_AT_HIT = 0.9995  # remembers about 2,000 hits
KEPT_SURPRISE = 0.98
MOST_SURPRISE = 4.0
KEPT_WHEN_SURPRISED = 0.5
ANSWERS_BETWEEN_SUMS = 8  # summing up takes as long as some decisions
SURE_ODDS = 8.0  # mean odds count up to this: among the surely finished the longest unseen comes first; 5 costs 1 %
HIGHEST = 300.0  # cumulated hazard: nobody lives to see it, and e^300 is still a float
_TINY = 1e-6  # below this the first term of the series is exact enough


def steady_worth(rate: float, seconds: float) -> float:
    """Return the integrated odds (s) of being finished after so long unseen at a constant hazard (1/s).

    It is the Whittle index (e^(rate t) - 1)/rate - t, with the mean odds capped at `SURE_ODDS`.
    """
    hazard = min(rate * seconds, HIGHEST)
    return seconds * (hazard / 2 if hazard < _TINY else min(SURE_ODDS, expm1(hazard) / hazard - 1))


def mean_time_to_hit(rate: float, seconds: float) -> float:
    """Return the expected time (s) of an event at a constant hazard (1/s), given that it came within `seconds`."""
    hazard = min(rate * seconds, HIGHEST)
    return seconds / 2 if hazard < _TINY else 1 / rate - seconds / expm1(hazard)


@dataclass(slots=True)
class Hazard:
    """A learned hazard along a clock. All arguments are readings of that clock in seconds.

    `events` and `exposure_s` hold what was observed in each bucket, older observations weighing less; the prior,
    one event in 1 + age seconds, knows no scale.
    """

    events: list[float] = field(default_factory=lambda: [0.0] * BUCKETS)
    exposure_s: list[float] = field(default_factory=lambda: [0.0] * BUCKETS)
    _rates: list[float] = field(init=False)
    _cumulated: list[float] = field(init=False)  # the hazard's integral H, up to each edge
    _grown: list[float] = field(init=False)  # the integral of e^H, up to each edge
    _unsummed: int = field(init=False)
    _newer: float = field(init=False, default=1.0)  # how much more than what was summed up the next answer weighs
    _surprise: float = field(init=False, default=0.0)  # hits less those expected, of late
    _variance: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.sum_up()

    def chance(self, since: float, until: float) -> float:
        """Return the chance of being finished at `until`, given unfinished at `since`."""
        return -expm1(self._integrals(since)[0] - self._integrals(until)[0])

    def worth(self, since: float, until: float) -> float:
        """Return the integrated odds (s): the integral of p/(1 - p) from `since`, p the chance of being finished."""
        (hazard, grown), (_, grown_until) = self._integrals(since), self._integrals(until)
        unseen_s = until - since
        return min(exp(-hazard) * (grown_until - grown) - unseen_s, SURE_ODDS * unseen_s)

    def reached_at(self, since: float, chance: float) -> float:
        """Return the reading by which one unfinished at `since` is finished with this chance."""
        wanted = self._integrals(since)[0] - log1p(-chance)
        bucket = bisect_right(self._cumulated, wanted) - 1
        return EDGES_S[bucket] + (wanted - self._cumulated[bucket]) / self._rates[bucket]

    def learn(self, since: float, until: float, *, finished: bool) -> None:
        """Learn from a look at `until` at a task that was unfinished at `since`."""
        if finished:
            self._learn_hit(since, until)
        else:
            for bucket, seconds in _pieces(since, until):
                self.exposure_s[bucket] += seconds * self._newer
        self._unsummed += 1
        if self._unsummed >= ANSWERS_BETWEEN_SUMS:
            self.sum_up()

    def doubt(self, chance: float, *, finished: bool) -> None:
        """Hear what came of a look at one with this chance; what a row of them contradicts is half forgotten."""
        self._surprise = KEPT_SURPRISE * self._surprise + finished - chance
        self._variance = KEPT_SURPRISE * self._variance + chance * (1 - chance)
        if self._surprise**2 > MOST_SURPRISE**2 * (1 + self._variance):
            self._surprise = self._variance = 0.0
            self._weigh_down(KEPT_WHEN_SURPRISED)

    def sum_up(self) -> None:
        """Let what was learned since the last time count."""
        self._weigh_down(1 / self._newer)
        self._unsummed, self._newer = 0, 1.0
        self._rates = [
            (events + PRIOR_EVENTS) / (seconds + prior_s)
            for events, seconds, prior_s in zip(self.events, self.exposure_s, PRIOR_EXPOSURE_S, strict=True)
        ]
        self._cumulated, self._grown = [0.0], [0.0]
        for rate, start, end in zip(self._rates, EDGES_S, EDGES_S[1:-1], strict=False):
            hazard = self._cumulated[-1]
            step = min(rate * (end - start), HIGHEST - hazard)
            self._cumulated.append(hazard + step)
            self._grown.append(self._grown[-1] + exp(hazard) * expm1(step) / rate)

    def _weigh_down(self, kept: float) -> None:
        if kept < 1:
            self.events = [events * kept for events in self.events]
            self.exposure_s = [seconds * kept for seconds in self.exposure_s]

    def _learn_hit(self, since: float, until: float) -> None:
        self._newer /= KEPT_AT_HIT
        pieces = _pieces(since, until)
        certain = max(1e-12, -expm1(-sum(self._rates[bucket] * seconds for bucket, seconds in pieces)))
        unfinished, weight = 1.0, self._newer / certain
        for bucket, seconds in pieces:
            rate = self._rates[bucket]
            here = unfinished * -expm1(-rate * seconds)
            unfinished -= here
            later = max(0.0, unfinished - (1 - certain))
            self.events[bucket] += here * weight
            self.exposure_s[bucket] += (here * mean_time_to_hit(rate, seconds) + later * seconds) * weight

    def _integrals(self, reading: float) -> tuple[float, float]:
        """Return H and the integral of e^H up to a reading."""
        bucket = bisect_right(EDGES_S, reading) - 1
        rate, hazard = self._rates[bucket], self._cumulated[bucket]
        step = min(rate * (reading - EDGES_S[bucket]), HIGHEST - hazard)
        return hazard + step, self._grown[bucket] + exp(hazard) * expm1(step) / rate


def _pieces(since: float, until: float) -> list[tuple[int, float]]:
    """Return the buckets between two readings, and the seconds in each."""
    pieces = []
    bucket = bisect_right(EDGES_S, since) - 1
    while since < until:
        end = min(until, EDGES_S[bucket + 1])
        pieces.append((bucket, end - since))
        since, bucket = end, bucket + 1
    return pieces
