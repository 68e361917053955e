"""The demo's figures and its verdict, by what the sandbox and the receiver saw and not by what the relay says."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relay.cli.demo.crowd import Crowd
from relay.cli.demo.one import One
from relay.cli.demo.stage import Stage
from relay.sandbox.lags import percentile


@dataclass(frozen=True)
class Spread:
    """How a number of seconds was spread."""

    mean: float
    p50: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Return the spread, or None of nothing."""
        if not values:
            return None
        ordered = sorted(values)
        return cls(sum(ordered) / len(ordered), percentile(ordered, 50), percentile(ordered, 99))

    def __str__(self) -> str:
        return f"mean {self.mean:.2f} s, p50 {self.p50:.2f} s, p99 {self.p99:.2f} s"


@dataclass(frozen=True)
class Report:
    """The whole demo in figures. Lags are of the many, the window, refusals and signatures of everything.

    `detection_lag_s`: from a task's end at the sandbox to the first poll that saw it; `final_to_delivered_s`: from
    its end to its callback's arrival at the receiver.
    """

    one: One
    tasks: int
    register_s: float
    took_s: float
    delivered_once: int
    delivered_again: int
    not_delivered: int
    types: dict[str, int]
    signatures_refused: int
    detection_lag_s: Spread | None
    final_to_delivered_s: Spread | None
    polls: int
    polls_per_task: float
    worst_window: int
    limit: str
    refused: int

    def problems(self) -> list[str]:
        """Return what the relay promised and did not keep."""
        found = {
            "the first callback did not arrive": self.one.delivered_at is None,
            f"{self.not_delivered} callbacks did not arrive": self.not_delivered,
            f"{self.delivered_again} callbacks arrived more than once": self.delivered_again,
            f"{self.signatures_refused} signatures were refused": self.signatures_refused,
            f"the upstream refused {self.refused} calls for rate": self.refused,
            f"a window held {self.worst_window} calls, the limit is {self.limit}": self.worst_window
            > int(self.limit.partition("/")[0]),
        }
        return [problem for problem, holds in found.items() if holds]


async def report_on(stage: Stage, one: One, crowd: Crowd) -> Report:
    """Return the figures, once the relay has stopped and nothing more can arrive."""
    account = await stage.account()
    arrived = Counter(received.webhook_id for received in stage.received if received.verified)
    first_at = {received.webhook_id: received.at for received in reversed(stage.received) if received.verified}
    truths = [(await stage.truth(request_id), id_) for request_id, id_ in crowd.registrations.items()]
    ids = crowd.registrations.values()
    polls = account["arrivals"] - len(one.polled_at)
    return Report(
        one=one,
        tasks=len(ids),
        register_s=crowd.register_s,
        took_s=crowd.took_s,
        delivered_once=sum(arrived[id_] == 1 for id_ in ids),
        delivered_again=sum(count > 1 for count in arrived.values()),
        not_delivered=sum(arrived[id_] == 0 for id_ in ids),
        types=dict(Counter(received.type for received in stage.received if received.webhook_id in set(ids))),
        signatures_refused=sum(not received.verified for received in stage.received),
        detection_lag_s=Spread.of([truth["detection_lag_s"] for truth, _ in truths if _was_read(truth)]),
        final_to_delivered_s=Spread.of([first_at[id_] - truth["final_at"] for truth, id_ in truths if id_ in first_at]),
        polls=polls,
        polls_per_task=polls / len(ids),
        worst_window=account["worst_window"],
        limit=account["limit"],
        refused=sum(account["refused"].values()),
    )


def _was_read(truth: Any) -> bool:
    return truth["detection_lag_s"] is not None


def table(report: Report) -> Iterator[str]:
    """Return the figures as lines to read."""
    calls, _, window_s = report.limit.partition("/")
    types = ", ".join(f"{count} {type_}" for type_, count in sorted(report.types.items()))
    rows = {
        "delivered exactly once": f"{report.delivered_once} of {report.tasks}  ({types})",
        "signatures refused": f"{report.signatures_refused}",
        "detection lag": f"{report.detection_lag_s}  (task's end to the poll that saw it)",
        "final to delivered": f"{report.final_to_delivered_s}  (task's end to callback)",
        "polls": f"{report.polls}, {report.polls_per_task:.2f} a task",
        "worst window": f"{report.worst_window} of {calls} calls in {window_s} s",
        "refused for rate (429)": f"{report.refused}",
        "took": f"{report.took_s:.1f} s",
    }
    return (f"  {name:<23} {figure}" for name, figure in rows.items())
