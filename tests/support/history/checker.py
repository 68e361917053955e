"""The checker: whether a history, as three recorders saw it, keeps what the relay promises.

In the manner of Jepsen's total-queue: what was promised must come out, what comes out must have been put in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import NamedTuple

from tests.support.history.journal import Event

SETTLED = frozenset({"delivered", "dead", "cancelled"})
ABSENT = 404
TYPE_OF = {"Success": "task.succeeded", "FAILURE": "task.failed", "ERROR": "task.errored"}
SHOWN = 20


@dataclass(frozen=True)
class Law:
    """What is judged: at most `calls` arrivals in `window_s`, at most `duplicates` callbacks too many."""

    calls: int = 25
    window_s: float = 5.0
    duplicates: int | None = None


class Wish(NamedTuple):
    """Who wants to be called back about which task; each client has a receiver of its own."""

    client: str
    request_id: str

    def __str__(self) -> str:
        return f"{self.request_id} of {self.client}"


@dataclass
class History:
    """The events, by what they are about. `states` are those seen of an id, in order; a redelivery begins them anew."""

    promised: dict[str, Wish] = field(default_factory=dict)
    ids: dict[Wish, set[str]] = field(default_factory=lambda: defaultdict(set))
    possible: set[Wish] = field(default_factory=set)
    unknown: set[Wish] = field(default_factory=set)
    cancelled: dict[str, str] = field(default_factory=dict)
    redelivered: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    states: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    peeks: list[Event] = field(default_factory=list)
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

    def state(self, id_: str) -> str:
        """Return the last state seen of this id."""
        return str(self.states[id_][-1]["state"]) if self.states.get(id_) else ""

    def _register(self, event: Event) -> None:
        wish = Wish(event["client"], event["request_id"])
        if event["result"] == "ok":
            self.promised[event["id"]] = wish
            self.ids[wish].add(event["id"])
        if event["result"] == "unknown":
            self.unknown.add(wish)
        if event["result"] != "failed":
            self.possible.add(wish)

    def _cancel(self, event: Event) -> None:
        if event["result"] != "failed":
            self.cancelled[event["id"]] = event["result"]

    def _redeliver(self, event: Event) -> None:
        if event["result"] != "failed":
            self.states[event["id"]].clear()
            self.redelivered[event["id"]].append(event)

    def _state(self, event: Event) -> None:
        self.states[event["id"]].append(event)

    def _peek(self, event: Event) -> None:
        self.peeks.append(event)

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
    again = {id_: history.taken(id_) - 1 - len(history.redelivered[id_]) for id_ in history.callbacks}
    again = {id_: count for id_, count in again.items() if count > 0}
    duplicated = sum(again.values())
    too_many = law.duplicates is not None and duplicated > law.duplicates
    return Verdict(
        acknowledged=len(history.promised),
        unknown=len(history.unknown - history.ids.keys()),
        delivered=sum(history.taken(id_) > 0 for id_ in history.callbacks),
        dead=sum(history.state(id_) in SETTLED - {"delivered"} for id_ in history.states),
        duplicated=duplicated,
        offenders={
            "lost": list(_lost(history)),
            "unsettled": list(_unsettled(history)),
            "false": list(_false(history)),
            "changed": list(_changed(history)),
            "crossed": list(_crossed(history)),
            "window violations": list(_violations(history, law)),
            "too often": [f"{id_} {count} too many" for id_, count in again.items()] if too_many else [],
        },
    )


def _lost(history: History) -> Iterator[str]:
    """Yield what was promised and has no end: not settled, or settled by word alone."""
    for id_, wish in history.promised.items():
        state, taken = history.state(id_), history.taken(id_)
        ended = state in SETTLED if history.states else taken > 0
        if not ended or (state == "delivered" and taken < _due(history, id_)):
            yield f"{id_} ({wish}) is {state or 'not seen'}"


def _due(history: History, id_: str) -> int:
    """Return how many 2xx stand behind `delivered`: one, and one for each redelivery of what was delivered before."""
    again = [event for event in history.redelivered.get(id_, ()) if event["result"] == "ok"]
    return len(again) + 1 if not again or again[0]["was"] == "delivered" else len(again)


def _unsettled(history: History) -> Iterator[str]:
    """Yield what had two ends, what was given up without a reason, and what nobody had cancelled."""
    for id_, seen in history.states.items():
        for before, after in pairwise(event["state"] for event in seen):
            if before in SETTLED and after != before:
                yield f"{id_} was {before}, and then {after}"
        if history.state(id_) == "dead" and not seen[-1]["death"]:
            yield f"{id_} is dead, and nobody says why"
        if history.state(id_) == "cancelled" and id_ not in history.cancelled:
            yield f"{id_} is cancelled, and nobody did"
        if history.cancelled.get(id_) == "ok" and history.state(id_) != "cancelled":
            yield f"{id_} was cancelled, and is {history.state(id_)}"


def _false(history: History) -> Iterator[str]:
    """Yield the callbacks that nobody registered, and those that say what the upstream never said."""
    for id_, callbacks in history.callbacks.items():
        for callback in callbacks:
            wish, kind = Wish(callback["client"], callback["request_id"]), callback["type"]
            promised = history.promised.get(id_, wish)
            if wish not in history.possible or promised.request_id != wish.request_id:
                yield f"{id_} ({wish}) was never registered"
            elif kind in TYPE_OF.values() and kind not in history.said[wish.request_id]:
                yield f"{id_} ({wish}) says {kind}, the upstream never did"


def _changed(history: History) -> Iterator[str]:
    """Yield the ids that came with more than one body, and the wishes that have more than one id."""
    for id_, callbacks in history.callbacks.items():
        bodies = {callback["body_sha256"] for callback in callbacks}
        if len(bodies) > 1:
            yield f"{id_} has {len(bodies)} bodies"
    for wish, ids in history.ids.items():
        if len(ids) > 1:
            yield f"{wish} has {len(ids)} ids: {', '.join(sorted(ids))}"


def _crossed(history: History) -> Iterator[str]:
    """Yield what one client has seen of another's: a callback, or an answer of the API that is not "absent"."""
    for id_, callbacks in history.callbacks.items():
        for callback in callbacks:
            owner = history.promised[id_].client if id_ in history.promised else callback["metadata_of"]
            if {owner, callback["metadata_of"]} != {callback["client"]}:
                yield f"{id_} of {owner} ({callback['metadata_of']} in it) came to {callback['client']}"
    for peek in history.peeks:
        if peek["status"] != ABSENT:
            yield f"{peek['id']} was shown to {peek['client']}: HTTP {peek['status']}"


def _violations(history: History, law: Law) -> Iterator[str]:
    """Yield where `t[i + calls] - t[i] >= window` does not hold."""
    for account, arrivals in history.arrivals.items():
        ordered = sorted(arrivals)
        for first, last in zip(ordered, ordered[law.calls :], strict=False):
            if last - first < law.window_s:
                yield f"{account}: {law.calls + 1} calls from {first:.3f} on within {last - first:.3f} s"
