"""The rate window's arithmetic: how many calls, how often, and when the next one is due.

A slot is held from the send of a call until `window_s` after its response, or after its timeout. Of any
`calls` + 1 calls, take the one sent last: at its send at most `calls` - 1 others held a slot, so one of them was
answered a window ago, hence arrived a window ago. So no window at the upstream ever holds more than `calls`,
whether it counts by a sliding log, by fixed windows or by a bucket.
"""

import re
from collections import deque
from dataclasses import dataclass
from math import floor

# The vendor's refusals name the account's own limit: "API calls exceeded the limit of 20 in 5 second(s)".
_NAMED_LIMIT = re.compile(r"limit of (\d{1,6}) in (\d{1,5}) second", re.IGNORECASE)
_WRITTEN_LIMIT = re.compile(r"(\d{1,6})/(\d{1,5}(?:\.\d{1,3})?)")


@dataclass(frozen=True)
class Limit:
    """At most `calls` calls in any `window_s` seconds."""

    calls: int
    window_s: float

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Read `calls/seconds`, as in `25/5`. Raises ValueError with what is wrong."""
        match = _WRITTEN_LIMIT.fullmatch(text.strip())
        if match is None or int(match[1]) < 1 or float(match[2]) <= 0:
            raise ValueError("write it as calls/seconds, both above zero, for example 25/5")
        return cls(int(match[1]), float(match[2]))

    def __str__(self) -> str:
        return f"{self.calls}/{self.window_s:.8g}"

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.window_s

    @property
    def pace_s(self) -> float:
        """Seconds between two calls when they are spread evenly over the window."""
        return self.window_s / self.calls

    def shared(self, share: float) -> "Limit":
        """Return the part of this limit that the relay may use: at least one call a window."""
        return Limit(max(1, floor(self.calls * share + 1e-9)), self.window_s)


def named_limit(text: str) -> Limit | None:
    """Return the limit that an upstream's refusal names, if it names one."""
    match = _NAMED_LIMIT.search(text)
    if match is None or int(match[1]) < 1 or int(match[2]) < 1:
        return None
    return Limit(int(match[1]), float(match[2]))


def effective_limit(configured: Limit, learned: Limit | None, share: float) -> Limit:
    """Return what the relay keeps to: the slower of the configured and the learned limit, and of that its share."""
    slower = configured if learned is None or configured.rate <= learned.rate else learned
    return slower.shared(share)


class Window:
    """A guard on one clock: a call may be sent when fewer than `calls` slots are held.

    The store's script is what holds the window over processes and restarts; this is the same rule in the lane's
    own memory and on its own monotonic clock, so that a jump of the store's clock cannot break it, and it is what
    `relay simulate` runs on a virtual one. Times are seconds of whatever clock the caller uses.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._in_flight = 0
        self._ends: deque[float] = deque()

    def change(self, limit: Limit) -> None:
        """Keep to another limit from the next call on; over a longer window what was answered weighs longer."""
        longer_s = max(0.0, limit.window_s - self._limit.window_s)
        self._ends = deque(end + longer_s for end in self._ends)
        self._limit = limit

    def sent(self) -> None:
        """Take a slot for a call."""
        self._in_flight += 1

    def answered(self, at: float) -> None:
        """Its response came at `at`, or it was given up then: the slot is held for one window more."""
        self._in_flight -= 1
        self._ends.append(at + self._limit.window_s)

    def free_at(self, now: float) -> float | None:
        """Return the earliest time at which a call may be sent, or None when only an answer can tell."""
        while self._ends and self._ends[0] <= now:
            self._ends.popleft()
        over = self._in_flight + len(self._ends) - self._limit.calls
        if over < 0:
            return now
        return self._ends[over] if over < len(self._ends) else None

    @property
    def in_use(self) -> int:
        """Slots held at the last look."""
        return self._in_flight + len(self._ends)


class Tally:
    """Counts the calls sent in the last window: a second opinion on what grants them, which it knows nothing of."""

    def __init__(self) -> None:
        self._sent_at: deque[float] = deque()

    def admits(self, limit: Limit, now: float) -> bool:
        """Hear of a call sent now, and return whether the limit has room for it."""
        while self._sent_at and self._sent_at[0] <= now - limit.window_s:
            self._sent_at.popleft()
        self._sent_at.append(now)
        return len(self._sent_at) <= limit.calls
