"""The slots that a lane holds: when each may be used, and what to tell the store at the next turn.

Two clocks meet here: the store's (ms; it grants) and the holder's monotonic one (seconds; it sends). A grant is
placed no earlier, and an answer no later, than it was on the store's clock, so every rounding is on the safe side.
"""

from collections import deque
from dataclasses import dataclass
from math import ceil

from relay.domain.budget import Limit, Window

# Catching up after a late wake-up may bunch calls, but never more than this much of the pace.
_CATCH_UP_S = 0.05


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot in use. `till_ms` names it to the store."""

    till_ms: int


NEVER_USED = -1


@dataclass(frozen=True, slots=True)
class Report:
    """What a turn tells. `number` is its own, `heard` that of the last one whose answer came.

    `ended` are (till, ms for which the slot is held from now or NEVER_USED, number of the report that told it first):
    whether the turns between `heard` and `number` were taken nobody here knows, so what they told is told again, and
    the store leaves out what it knows.
    """

    number: int
    heard: int
    ended: list[tuple[int, int, int]]


class Slots:
    """Paces the calls of one account evenly over the slots granted; also holds the window on its own clock.

    All times are seconds of the holder's monotonic clock unless they end in `_ms`. A grant is good for `slack_s`
    after its time: the store holds it so much longer.
    """

    def __init__(self, limit: Limit, *, slack_s: float) -> None:
        self.limit = limit
        self._slack_s = slack_s
        self._window = Window(limit)
        self._granted: deque[tuple[float, int]] = deque()
        self._next_at = 0.0
        self._ended: list[tuple[int, float | None]] = []
        self._told: list[tuple[int, float | None, int]] = []
        self._number = self._heard = 0

    def change(self, limit: Limit) -> None:
        """Keep to another limit from the next slot on."""
        self.limit = limit
        self._window.change(limit)

    def grant(self, at: float, till_ms: int, count: int) -> None:
        """Take in `count` slots that may be used from `at` on; grants come in order of time."""
        self._granted.extend([(at, till_ms)] * count)

    def wanted(self, now: float, *, ahead_s: float) -> int:
        """Return how many more slots the next `ahead_s` seconds can use."""
        self._drop_stale(now)
        return max(0, ceil(ahead_s / self.limit.pace_s) - len(self._granted))

    def earliest_in(self, now: float) -> float:
        """Return in how many seconds the pace admits a slot beyond those in hand."""
        after_hand = self._granted[-1][0] + self.limit.pace_s if self._granted else 0.0
        return max(0.0, self._next_at - now, after_hand - now)

    def ready_at(self, now: float) -> float | None:
        """Return when the next call may be sent, or None when a turn or an answer must come first."""
        self._drop_stale(now)
        free_at = self._window.free_at(now)
        if not self._granted or free_at is None:
            return None
        return max(self._granted[0][0], self._next_at, free_at)

    def take(self, now: float) -> Slot | None:
        """Return a slot for a call that is sent now, or None when none is ready."""
        ready_at = self.ready_at(now)
        if ready_at is None or ready_at > now:
            return None
        self._next_at = max(self._next_at, now - _CATCH_UP_S) + self.limit.pace_s
        self._window.sent()
        return Slot(self._granted.popleft()[1])

    def answered(self, slot: Slot, now: float) -> None:
        """Hear that the call in this slot was answered, or given up."""
        self._window.answered(now)
        self._ended.append((slot.till_ms, now))

    def report(self, now: float) -> Report:
        """Return what to tell at the next turn: what has ended, and what was told without being heard."""
        self._number += 1
        self._told += [(till_ms, at, self._number) for till_ms, at in self._ended]
        self._ended = []
        window_s = self.limit.window_s
        ended = [
            (till_ms, NEVER_USED if at is None else max(0, ceil((at + window_s - now) * 1000)), number)
            for till_ms, at, number in self._told
        ]
        return Report(self._number, self._heard, ended)

    def heard(self) -> None:
        """Hear that the last report was answered. Of what an earlier turn granted nothing more will be heard."""
        self._heard = self._number
        self._told = []

    def give_back(self) -> None:
        """Use none of the slots in hand."""
        self._ended.extend((till_ms, None) for _, till_ms in self._granted)
        self._granted.clear()

    def _drop_stale(self, now: float) -> None:
        while self._granted and self._granted[0][0] + self._slack_s < now:
            self._ended.append((self._granted.popleft()[1], None))
