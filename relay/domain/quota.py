"""Quota: what a client may ask for in a window, counted over all API processes.

Windows are those of the calendar (a whole number of them since 1970), so that every process counts in the same one.
A process counts its own calls at once and hears of the others' about once a second: the quota may be exceeded by what
the others let in meanwhile, and is never kept too tight.
"""

from dataclasses import dataclass
from math import ceil, floor

from relay.domain.budget import Limit

REQUESTS = "requests"
PENDING = "pending"
STREAMS = "streams"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a client stands after a call: what is left of its quota, and seconds until that is whole again."""

    limit: Limit
    remaining: int
    resets_in_s: int
    exceeded: bool

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The RateLimit header fields (source: draft-ietf-httpapi-ratelimit-headers-10)."""
        policy = f'"{REQUESTS}";q={self.limit.calls};w={ceil(self.limit.window_s)}'
        standing = f'"{REQUESTS}";r={self.remaining};t={self.resets_in_s}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", standing.encode())]


class Spending:
    """What one client has spent of its quota in the present window. `now` is in Unix seconds."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._window = 0
        self._here = self._told = self._elsewhere = 0

    def spend(self, now: float) -> Standing:
        """Count one call, unless there is nothing left."""
        self._enter(now)
        left = self._limit.calls - self._here - self._elsewhere
        if left > 0:
            self._here += 1
        resets_at = (self._window + 1) * self._limit.window_s
        return Standing(self._limit, max(0, left - 1), max(1, ceil(resets_at - now)), exceeded=left <= 0)

    def untold(self, now: float) -> tuple[int, int]:
        """Return the window, and how many calls of it nobody else has been told of; they count as told now."""
        self._enter(now)
        untold, self._told = self._here - self._told, self._here
        return self._window, untold

    def heard(self, window: int, total: int) -> None:
        """Hear what all processes together, this one included, had told of the window."""
        if window == self._window:
            self._elsewhere = max(0, total - self._told)

    def _enter(self, now: float) -> None:
        window = floor(now / self._limit.window_s)
        if window != self._window:
            self._window = window
            self._here = self._told = self._elsewhere = 0


class Crowd:
    """How many registrations of one client are under way: counted in the store now and then, reckoned in between.

    What other processes let in since the last count is not known, so by so much the quota may be exceeded.
    """

    COUNTED_EACH_S = 1.0

    def __init__(self) -> None:
        self._counted_at = float("-inf")
        self._count = 0
        self._going = 0

    def stale(self, now: float) -> bool:
        """Whether it is to be counted again; `now` is in seconds of any one clock."""
        return now - self._counted_at >= self.COUNTED_EACH_S

    def counted(self, count: int, *, now: float) -> None:
        """Hear how many the store has. Those about to be written may be among them: rather too many than too few."""
        self._count, self._counted_at = count + self._going, now

    def begin(self, limit: int) -> bool:
        """Take a place for one that is about to be written, if there is one."""
        if self._count >= limit:
            return False
        self._count += 1
        self._going += 1
        return True

    def end(self, *, made: bool) -> None:
        """Hear what became of it; the place of one that was not made is free again."""
        self._going -= 1
        self._count -= not made
