"""Summary: runs in figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.domain.budget import Limit
from relay.simulate.run import Run


@dataclass(frozen=True)
class Summary:
    """What runs came to. Lags are seconds; `budget_used` is the part of all calls that the limit admitted meanwhile."""

    tasks: int
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    polls_per_task: float
    refusals: int
    longest_unpolled_s: float
    budget_used: float
    lasted_s: float


def summarize(runs: Sequence[Run], limit: Limit) -> Summary:
    """Sum up the runs of several accounts, each with this limit."""
    lags_s = sorted(task.lag_s for run in runs for task in run.seen)
    calls = sum(run.calls for run in runs)
    return Summary(
        tasks=len(lags_s),
        mean_s=sum(lags_s) / max(1, len(lags_s)),
        p50_s=percentile(lags_s, 50),
        p95_s=percentile(lags_s, 95),
        p99_s=percentile(lags_s, 99),
        max_s=percentile(lags_s, 100),
        polls_per_task=calls / max(1, len(lags_s)),
        refusals=sum(run.refused for run in runs),
        longest_unpolled_s=_greatest(runs, lambda run: run.longest_unpolled_s),
        budget_used=calls / max(1.0, limit.rate * sum(run.lasted_s for run in runs)),
        lasted_s=_greatest(runs, lambda run: run.lasted_s),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the ordered values are, between two of them if need be; 0 of none."""
    if not ordered:
        return 0.0
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _greatest(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return max(map(figure, runs), default=0.0)
