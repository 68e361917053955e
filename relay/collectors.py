"""Metrics that are worked out at the scrape: what waits in the store, and what is counted by account."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from relay.domain.answer import AnswerKind, ThrottleShape
from relay.domain.busiest import Busiest

MAX_ACCOUNT_LABELS = 100
OTHER_ACCOUNTS = "other"
KINDS = ("poll", "delivery")


class _AtScrape(Collector):
    def describe(self) -> list[Metric]:
        """Say nothing before the first scrape: prometheus_client takes `relay_registrations` for the counter's name."""
        return []


class Waiting(_AtScrape):
    """`relay_registrations{state}` and `relay_oldest_due_seconds{kind}`.

    What the store said at the scrape; nothing while it does not answer, rather than what it once said. A poll that is
    due and not sent in a lane of this process is known here alone: `hungry_since` says since when, by account.
    """

    def __init__(self) -> None:
        self.hungry_since: dict[str, float] = {}  # the monotonic clock's seconds
        self._registrations: Mapping[str, int] = {}
        self._oldest_due_s: Mapping[str, float] = {}

    def told(self, registrations: Mapping[str, int], oldest_due_s: Mapping[str, float]) -> None:
        """Take in what the store has just said, by state and by kind."""
        self._registrations, self._oldest_due_s = registrations, oldest_due_s

    def unknown(self) -> None:
        """Forget it: the store does not answer."""
        self.told({}, {})

    def collect(self) -> Iterator[Metric]:
        states = GaugeMetricFamily("relay_registrations", "Registrations in the store, by state.", labels=["state"])
        for state, count in self._registrations.items():
            states.add_metric([state], count)
        yield states
        oldest = GaugeMetricFamily(
            "relay_oldest_due_seconds", "How long the oldest poll or delivery that is due has waited.", labels=["kind"]
        )
        hungry_s = max((time.monotonic() - since for since in self.hungry_since.values()), default=0.0)
        for kind, due_s in self._oldest_due_s.items():
            oldest.add_metric([kind], max(due_s, hungry_s) if kind == "poll" else due_s)
        yield oldest


class ByAccount(_AtScrape):
    """What is counted by account. At most a hundred accounts have a label of their own, the rest share `other`.

    Who is named is settled at each scrape, by the polls counted until then. What was counted since the last scrape
    goes to the label that the account has now, so every counter only grows; an account that loses its name takes its
    counter away with it, and brings it back should it be named again. So rates are the truth whoever is named.
    """

    def __init__(self) -> None:
        self._busiest = Busiest(MAX_ACCOUNT_LABELS)
        self._polls: Counter[str] = Counter()
        self._untold: Counter[tuple[str, type[AnswerKind | ThrottleShape], str]] = Counter()
        self._told: Counter[tuple[str, type[AnswerKind | ThrottleShape], str]] = Counter()
        self._budgets: dict[str, tuple[int, int]] = {}

    def know(self, account: str) -> None:
        """Show the account before its first poll, so that a rate sees the step from zero."""
        self._polls[account] += 0

    def answered(self, account: str, outcome: AnswerKind, shape: ThrottleShape | None) -> None:
        """Count one poll."""
        self._polls[account] += 1
        self._untold[account, AnswerKind, outcome] += 1
        if shape is not None:
            self._untold[account, ThrottleShape, shape] += 1

    def budget(self, account: str, *, limit: int, in_use: int) -> None:
        """Hear how many calls the account may make in one window, and how many slots of it are held."""
        self._budgets[account] = (limit, in_use)

    def handed_back(self, account: str) -> None:
        """Hear that this process holds no slot of the account any more."""
        if account in self._budgets:
            self._budgets[account] = (self._budgets[account][0], 0)

    def collect(self) -> Iterator[Metric]:
        named = self._busiest.elect(self._polls)
        labels = {account: account if account in named else OTHER_ACCOUNTS for account in self._polls}
        for (account, kind, value), count in self._untold.items():
            self._told[labels[account], kind, value] += count
        self._untold.clear()
        shown = sorted(set(labels.values()))
        yield self._counter("relay_upstream_requests", "Polls, by what the answer meant.", "outcome", AnswerKind, shown)
        text = "Refusals for rate, by the HTTP status they came with."
        yield self._counter("relay_upstream_throttled", text, "shape", ThrottleShape, shown)
        yield from self._gauges(labels)

    def _counter(
        self, name: str, text: str, label: str, kind: type[AnswerKind | ThrottleShape], shown: Iterable[str]
    ) -> Metric:
        family = CounterMetricFamily(name, text, labels=["account", label])
        for account in shown:
            for value in kind:
                family.add_metric([account, value], self._told[account, kind, value])
        return family

    def _gauges(self, labels: Mapping[str, str]) -> Iterator[Metric]:
        limits, in_use = Counter[str](), Counter[str]()
        for account, (calls, held) in self._budgets.items():
            limits[labels[account]] += calls
            in_use[labels[account]] += held
        for name, text, values in (
            ("limit", "Calls that may be made in one window, as this process knew it last.", limits),
            ("in_use", "Slots of the window held at the lane's last turn, in lanes of this process.", in_use),
        ):
            family = GaugeMetricFamily(f"relay_upstream_budget_{name}", text, labels=["account"])
            for account, value in sorted(values.items()):
                family.add_metric([account], value)
            yield family
