"""Telling: a summary as a table and as a sentence."""

from relay.domain.budget import Limit
from relay.simulate.summary import Summary

_LAGS = {"mean": "mean_s", "p50": "p50_s", "p95": "p95_s", "p99": "p99_s", "max": "max_s"}


def table(policy: str, summary: Summary, bound: Summary) -> str:
    """Return the figures of a policy beside those of the clairvoyant."""
    rows = [
        ("", policy, "clairvoyant"),
        ("tasks", str(summary.tasks), ""),
        *((f"lag {name}", seconds(getattr(summary, key)), seconds(getattr(bound, key))) for name, key in _LAGS.items()),
        ("polls per task", f"{summary.polls_per_task:.2f}", f"{bound.polls_per_task:.2f}"),
        ("refusals", str(summary.refusals), ""),
        ("longest unpolled", seconds(summary.longest_unpolled_s), ""),
        ("budget used", percent(summary.budget_used), percent(bound.budget_used)),
        ("until all were seen", seconds(summary.lasted_s), seconds(bound.lasted_s)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {own:>{widths[1]}}  {other:>{widths[2]}}".rstrip() for name, own, other in rows
    )


def conclusion(budget: Limit, summary: Summary) -> str:
    """Return what a reader in a hurry wants to know."""
    return (
        f"At {budget} this load is seen with a mean lag of {seconds(summary.mean_s)}, and 99 % of it within "
        f"{seconds(summary.p99_s)}; the budget is used to {percent(summary.budget_used)}."
    )


def seconds(value: float) -> str:
    """Write seconds to three places that count."""
    places = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{places}f} s"


def percent(part: float) -> str:
    return f"{100 * part:.0f} %"
