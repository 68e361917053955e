"""How late final statuses were first read."""

from collections import deque

REMEMBERED_LAGS = 200_000


class DetectionLags:
    """Seconds from a task's end to the first read of it: count, mean and max of all, percentiles of the latest."""

    def __init__(self) -> None:
        self._count = 0
        self._total_s = 0.0
        self._max_s = 0.0
        self._latest_s: deque[float] = deque(maxlen=REMEMBERED_LAGS)

    def record(self, lag_s: float) -> None:
        self._count += 1
        self._total_s += lag_s
        self._max_s = max(self._max_s, lag_s)
        self._latest_s.append(lag_s)

    def report(self) -> dict[str, float | None]:
        if not self._count:
            return {"count": 0, "mean": None, "p50": None, "p99": None, "max": None}
        ordered_s = sorted(self._latest_s)
        return {
            "count": self._count,
            "mean": self._total_s / self._count,
            "p50": percentile(ordered_s, 50),
            "p99": percentile(ordered_s, 99),
            "max": self._max_s,
        }


def percentile(ordered: list[float], percent: int) -> float:
    """Return the least value that at least `percent` of the values do not exceed (nearest rank)."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]
