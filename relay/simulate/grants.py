"""Grants: what the store's script `turn.lua` does about slots, on the virtual clock."""

from collections import Counter
from collections.abc import Iterable
from math import ceil, floor
from typing import NamedTuple

from relay.domain.budget import Limit

AHEAD_S = 1.2
CALL_TIMEOUT_S = 8.25  # the longest a call may take, and what a slot is good for after its time
_ROUNDINGS_A_PACE = 20


class Grant(NamedTuple):
    """A slot that may be used in `in_s` seconds. `till_ms` names it to the store."""

    in_s: float
    till_ms: int


class Grants:
    """The slots of one account as the store holds them: each is held until an instant in whole milliseconds.

    A granted slot is held until its call must have timed out and a window has passed; its answer shortens that.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._quantum_ms = max(1, round(limit.pace_s * 1000 / _ROUNDINGS_A_PACE))
        self._held: Counter[int] = Counter()

    def turn(
        self, now: float, *, ended: Iterable[tuple[int, int, int]], want: int, earliest_in_s: float
    ) -> list[Grant]:
        """Settle the slots that ended and grant up to `want` new ones, one pace apart, as early as they come free.

        `ended` are (till, ms for which the slot is held from now, how many), as `Slots.report` tells them.
        """
        now_ms = floor(now * 1000)
        self._settle(now_ms, ended)
        grants = self._granted(now_ms, want, now_ms + floor(earliest_in_s * 1000))
        self._held.update(grant.till_ms for grant in grants)
        return grants

    def _settle(self, now_ms: int, ended: Iterable[tuple[int, int, int]]) -> None:
        for till_ms, hold_ms, count in ended:
            self._held[till_ms] -= count
            self._held[self._rounded(now_ms + hold_ms)] += count
        self._held = Counter({till_ms: count for till_ms, count in self._held.items() if till_ms > now_ms and count})

    def _granted(self, now_ms: int, want: int, earliest_ms: float) -> list[Grant]:
        ends_ms = sorted(self._held.elements())
        grants: list[Grant] = []
        while len(grants) < want:
            must_end = len(ends_ms) + len(grants) + 1 - self._limit.calls
            if must_end > len(ends_ms):
                break
            earliest_ms = max(earliest_ms, ends_ms[must_end - 1] if must_end > 0 else now_ms)
            at_ms = ceil(earliest_ms)
            if at_ms > now_ms + AHEAD_S * 1000:
                break
            held_s = CALL_TIMEOUT_S + self._limit.window_s
            grants.append(Grant((at_ms - now_ms) / 1000, self._rounded(at_ms + held_s * 1000)))
            earliest_ms += self._limit.pace_s * 1000
        return grants

    def _rounded(self, at_ms: float) -> int:
        return ceil(at_ms / self._quantum_ms) * self._quantum_ms
