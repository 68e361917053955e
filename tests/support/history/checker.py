"""The checker: whether a history, as three recorders saw it, keeps what the relay promises.

In the manner of Jepsen's total-queue: what was promised must come out, what comes out must have been put in.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from tests.support.history.journal import Event

SETTLED = frozenset({"delivered", "dead", "cancelled"})
TYPE_OF = {"Success": "task.succeeded", "FAILURE": "task.failed", "ERROR": "task.errored"}
SHOWN = 20


@dataclass(frozen=True)
class Law:
    """What is judged: at most `calls` arrivals in `window_s`, at most `duplicates` callbacks too many."""

    calls: int = 25
    window_s: float = 5.0
    duplicates: int | None = None


@dataclass
class History:
    """The events, by what they are about."""

    promised: dict[str, str] = field(default_factory=dict)
    possible: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    arrivals: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    said: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    callbacks: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        history = cls()
        for event in events:
            getattr(history, f"_{event['event']}")(event)
        return history

    def taken(self, id_: str) -> int:
        """Return how many callbacks with this id the receiver answered with 2xx."""
        return sum(200 <= callback["answer"] < 300 for callback in self.callbacks.get(id_, ()))

    def _register(self, event: Event) -> None:
        if event["result"] == "ok":
            self.promised[event["id"]] = event["request_id"]
        if event["result"] == "unknown":
            self.unknown.add(event["request_id"])
        if event["result"] != "failed":
            self.possible.add(event["request_id"])

    def _state(self, event: Event) -> None:
        self.states[event["id"]] = event["state"]

    def _arrival(self, event: Event) -> None:
        self.arrivals[event["account"]].append(event["at"])
        self.said[event["request_id"]].add(TYPE_OF.get(event["said"], ""))

    def _callback(self, event: Event) -> None:
        self.callbacks[event["id"]].append(event)


@dataclass(frozen=True)
class Verdict:
    """What the checker found. `duplicated` counts callbacks too many; the offenders name ids, or instants."""

    acknowledged: int
    unknown: int
    delivered: int
    dead: int
    duplicated: int
    offenders: dict[str, list[str]]

    @property
    def valid(self) -> bool:
        return not any(self.offenders.values())

    def __str__(self) -> str:
        counts = {name: getattr(self, name) for name in ("acknowledged", "unknown", "delivered", "dead", "duplicated")}
        counts |= {name: len(found) for name, found in self.offenders.items() if name != "too often"}
        lines = [f"{name:<17} {count}" for name, count in counts.items()]
        for name, found in self.offenders.items():
            lines += [f"  {name}: {one}" for one in islice(found, SHOWN)]
        return "\n".join([*lines, "VALID" if self.valid else "INVALID"])


def check(events: Iterable[Event], law: Law) -> Verdict:
    """Judge a history."""
    history = History.of(events)
    again = {id_: history.taken(id_) - 1 for id_ in history.callbacks if history.taken(id_) > 1}
    unknown = history.unknown - set(history.promised.values())
    duplicated = sum(again.values())
    too_many = law.duplicates is not None and duplicated > law.duplicates
    return Verdict(
        acknowledged=len(history.promised),
        unknown=len(unknown),
        delivered=sum(history.taken(id_) > 0 for id_ in history.callbacks),
        dead=sum(state in SETTLED - {"delivered"} for state in history.states.values()),
        duplicated=duplicated,
        offenders={
            "lost": _lost(history),
            "false": _false(history),
            "changed": _changed(history),
            "window violations": _violations(history, law),
            "too often": [f"{id_} {count} too many" for id_, count in again.items()] if too_many else [],
        },
    )


def _lost(history: History) -> list[str]:
    """Return what was promised and has no end: not settled, or settled by word alone."""
    lost = []
    for id_, request_id in history.promised.items():
        state = history.states.get(id_, "")
        ended = state in SETTLED if history.states else history.taken(id_) > 0
        if not ended or (state == "delivered" and history.taken(id_) == 0):
            lost.append(f"{id_} ({request_id}) is {state or 'not seen'}")
    return lost


def _false(history: History) -> list[str]:
    """Return the callbacks that nobody registered, and those that say what the upstream never said."""
    found = []
    for id_, callbacks in history.callbacks.items():
        for callback in callbacks:
            request_id, kind = callback["request_id"], callback["type"]
            promised = history.promised.get(id_, request_id)
            if request_id not in history.possible or promised != request_id:
                found.append(f"{id_} ({request_id}) was never registered")
            elif kind in TYPE_OF.values() and kind not in history.said[request_id]:
                found.append(f"{id_} ({request_id}) says {kind}, the upstream never did")
    return found


def _changed(history: History) -> list[str]:
    """Return the ids that came with more than one body."""
    bodies = {id_: {one["body_sha256"] for one in callbacks} for id_, callbacks in history.callbacks.items()}
    return [f"{id_} has {len(found)} bodies" for id_, found in bodies.items() if len(found) > 1]


def _violations(history: History, law: Law) -> list[str]:
    """Return where `t[i + calls] - t[i] >= window` does not hold."""
    found = []
    for account, arrivals in history.arrivals.items():
        ordered = sorted(arrivals)
        for first, last in zip(ordered, ordered[law.calls :], strict=False):
            if last - first < law.window_s:
                found.append(f"{account}: {law.calls + 1} calls from {first:.3f} on within {last - first:.3f} s")
    return found
