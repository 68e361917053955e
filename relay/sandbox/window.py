"""The rate window: who is let in, and the most arrivals that any window has seen. Instants are monotonic seconds."""

from collections import deque
from dataclasses import dataclass
from math import floor, inf
from re import fullmatch
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `calls` in `window_s` seconds; written as "25/5"."""

    calls: int
    window_s: float

    def __post_init__(self) -> None:
        if self.calls < 1 or not 0 < self.window_s < inf:
            raise ValueError(f"a limit needs at least one call and a window longer than 0 s, got {self}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "25/5", or raise ValueError."""
        match = fullmatch(r"(\d{1,9})/(\d{1,9}(?:\.\d{1,6})?)", text)
        if not match:
            raise ValueError(f'a limit is written "calls/seconds", such as "25/5", not "{text}"')
        return cls(int(match[1]), float(match[2]))

    def __str__(self) -> str:
        return f"{self.calls}/{decimal(self.window_s)}"


def decimal(number: float) -> str:
    """Write a number to six places at most, as `parse` reads it."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


class Window(Protocol):
    """The calls one account has spent. `now` never goes back; the limit is an argument, for it may change."""

    def admits(self, now: float, limit: Limit) -> bool: ...

    def spend(self, now: float) -> None: ...

    def reopens_in_s(self, now: float, limit: Limit) -> float: ...


class SlidingWindow:
    """Looks back over the last `window_s` seconds: a call weighs from its instant t until just before t + window_s."""

    def __init__(self) -> None:
        self._spent_at: deque[float] = deque()

    def admits(self, now: float, limit: Limit) -> bool:
        _forget_older(self._spent_at, now, limit.window_s)
        return len(self._spent_at) < limit.calls

    def spend(self, now: float) -> None:
        self._spent_at.append(now)

    def reopens_in_s(self, now: float, limit: Limit) -> float:
        """Return after how many seconds one more call is let in, if nobody calls until then."""
        if len(self._spent_at) < limit.calls:
            return 0.0
        return self._spent_at[-limit.calls] + limit.window_s - now


class FixedWindow:
    """Counts in windows laid end to end from the clock's zero, and starts again at 0 in each."""

    def __init__(self) -> None:
        self._number = -1
        self._spent = 0

    def admits(self, now: float, limit: Limit) -> bool:
        number = floor(now / limit.window_s)
        if number != self._number:
            self._number, self._spent = number, 0
        return self._spent < limit.calls

    def spend(self, now: float) -> None:  # noqa: ARG002 - the window that `admits` found is the one that pays
        self._spent += 1

    def reopens_in_s(self, now: float, limit: Limit) -> float:
        return 0.0 if self._spent < limit.calls else limit.window_s - now % limit.window_s


class WorstWindow:
    """The greatest number of arrivals in any half-open window [t, t + window_s), exactly; remembers one window only."""

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.worst = 0
        self._recent: deque[float] = deque()

    def record(self, now: float) -> None:
        self._recent.append(now)
        _forget_older(self._recent, now, self.window_s)
        self.worst = max(self.worst, len(self._recent))


def _forget_older(instants: deque[float], now: float, window_s: float) -> None:
    while instants and now - instants[0] >= window_s:
        instants.popleft()
