"""Upstream: the vendor's side of an account: its exact sliding window, and the status at the moment of asking."""

from collections import deque
from collections.abc import Iterable

from relay.domain.answer import Answer, AnswerKind
from relay.domain.backlog import Backlog
from relay.domain.budget import Limit
from relay.domain.operations import TaskOutcome

PENDING = Answer(AnswerKind.PENDING)
FINAL = Answer(AnswerKind.FINAL, outcome=TaskOutcome.SUCCEEDED)
THROTTLED = Answer(AnswerKind.THROTTLED)
RATE_OVER_S = 60.0


class Upstream:
    """Answers calls in the order of their arrival; a call counts from its instant until just before a window later."""

    def __init__(self, limit: Limit) -> None:
        self.refused = 0
        self._limit = limit
        self._counts_until: deque[float] = deque()

    def ask(self, final_at: float, *, now: float) -> Answer:
        """Return the answer to a poll, of a task that is final from `final_at` on, that arrives now."""
        if not self.admits(now=now):
            self.refused += 1
            return THROTTLED
        return FINAL if now >= final_at else PENDING

    def ask_backlog(self, ends_at: Iterable[float], *, now: float) -> Backlog | Answer:
        """Return the answer to a metrics call, where tasks so far submitted end at these instants, that arrives now."""
        if not self.admits(now=now):
            self.refused += 1
            return THROTTLED
        left_s = [at - now for at in ends_at]
        ended = sum(-RATE_OVER_S < each <= 0 for each in left_s)
        return Backlog(sum(each > 0 for each in left_s), ended / RATE_OVER_S)

    def admits(self, *, now: float) -> bool:
        """Count a call that arrives now, unless the limit refuses it."""
        while self._counts_until and self._counts_until[0] <= now:
            self._counts_until.popleft()
        if len(self._counts_until) >= self._limit.calls:
            return False
        self._counts_until.append(now + self._limit.window_s)
        return True
