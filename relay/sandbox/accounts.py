"""What the sandbox knows of one API key: its window, and the count of everything that arrived."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from relay.sandbox.behaviour import Behaviour, RefusalShape, WindowKind
from relay.sandbox.faults import Call, Fault
from relay.sandbox.window import FixedWindow, SlidingWindow, Window, WorstWindow

REMEMBERED_ARRIVALS = 200_000
WINDOWS: dict[WindowKind, type[SlidingWindow | FixedWindow]] = {
    WindowKind.SLIDING: SlidingWindow,
    WindowKind.FIXED: FixedWindow,
}


class Account:
    """One API key. Calls that spend the limit are arrivals, whether let in or refused."""

    def __init__(self, key: str, behaviour: Behaviour) -> None:
        self.key = key
        self.calls: Counter[Call] = Counter()
        self.faulted: Counter[Fault] = Counter()
        self._refused: Counter[RefusalShape] = Counter()
        self._arrivals = 0
        self._arrived_at: deque[float] = deque(maxlen=REMEMBERED_ARRIVALS)
        self._behaviour = behaviour
        self._limit = behaviour.limit_of(key)
        self._window: Window = WINDOWS[behaviour.window]()
        self._worst = WorstWindow(self._limit.window_s)

    def behave(self, behaviour: Behaviour) -> None:
        """Take on a new behaviour; another window length starts `worst_window` anew, another kind the window itself."""
        if behaviour.window is not self._behaviour.window:
            self._window = WINDOWS[behaviour.window]()
        self._behaviour = behaviour
        self._limit = behaviour.limit_of(self.key)
        if self._limit.window_s != self._worst.window_s:
            self._worst = WorstWindow(self._limit.window_s)

    def admits(self, call: Call, now: float) -> bool:
        """Count one call that arrives at `now` (monotonic seconds), and say whether the limit lets it in."""
        self.calls[call] += 1
        if call is Call.SUBMIT and not self._behaviour.submits_spend:
            return True
        self._record_arrival(now)
        admitted = self._window.admits(now, self._limit)
        if admitted or self._behaviour.refused_calls_spend:
            self._window.spend(now)
        if not admitted:
            self._refused[self._behaviour.refusal] += 1
        return admitted

    def _record_arrival(self, now: float) -> None:
        self._arrivals += 1
        self._arrived_at.append(now)
        self._worst.record(now)

    def reopens_in_s(self, now: float) -> float:
        return self._window.reopens_in_s(now, self._limit)

    def report(self, *, with_arrivals: bool) -> dict[str, Any]:
        arrived_at = {"arrived_at": list(self._arrived_at)} if with_arrivals else {}
        return {
            "limit": str(self._limit),
            "arrivals": self._arrivals,
            "calls": _plain(self.calls),
            "refused": _plain(self._refused),
            "faulted": _plain(self.faulted),
            "worst_window": self._worst.worst,
            **arrived_at,
        }


def _plain(counts: Mapping[Call, int] | Mapping[Fault, int] | Mapping[RefusalShape, int]) -> dict[str, int]:
    return {str(name): count for name, count in counts.items()}
