"""Tails: the few tasks that end much later than the others, as they were retried or got stuck."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from relay.domain.operations import RETRIES_S
from relay.simulate.work import Span

MENDED = 0.6  # the chance that a retry succeeds; its time is taken to be counted from the first failure
GIVEN_UP_S = 3600.0  # so long after it was submitted the upstream ends a stuck task
_LONGEST_REWORK_S = 60.0


@dataclass(frozen=True)
class Tails:
    """The shares of all tasks that fail at first and are retried, and that get stuck."""

    retried: float = 0.0
    stuck: float = 0.0

    def final_at(self, submitted_at: Sequence[float], spans: Sequence[Span], random: Random) -> list[float]:
        """Return when each task is final, given when it was first worked on."""
        return [self._final_at(at, span, random) for at, span in zip(submitted_at, spans, strict=True)]

    def _final_at(self, submitted_at: float, span: Span, random: Random) -> float:
        lot = random.random()
        if lot < self.retried:
            rework_s = min(span.end_at - span.start_at, _LONGEST_REWORK_S)
            return span.end_at + _retry_s(random) + rework_s
        if lot < self.retried + self.stuck:
            return max(span.end_at, submitted_at + GIVEN_UP_S)
        return span.end_at


def _retry_s(random: Random) -> float:
    retry = 0
    while retry < len(RETRIES_S) - 1 and random.random() >= MENDED:
        retry += 1
    return RETRIES_S[retry]
