"""Write: what one atomic commit does, built operation by operation; `commit.lua` gives their meaning."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay import metrics
from relay.domain.errors import FencedError
from relay.domain.event import EventName, told
from relay.domain.listing import made_ms
from relay.domain.registration import Registration, RegistrationState, packed
from relay.domain.task import Task, TaskState
from relay.store import keys, records
from relay.store.keys import LaneKind, LaneName
from relay.store.link import Word

RETENTION_MS = 30 * 86_400_000
EVENTS_KEPT = 10_000  # for each client, and for the admin, who hears of everybody's
_STATES = tuple(RegistrationState)
CLAIM_S = 20.0  # one attempt's 15 s, and room to commit it


@dataclass(frozen=True, slots=True)
class Fence:
    """The lease under which a worker writes: refused when the lane has another holder by then."""

    lane: LaneName
    epoch: str


def held(answer: Any, fence: Fence) -> Any:
    """Return what a script of a lane answered. Raises FencedError when it was refused: the lane has another holder."""
    if answer is None:
        metrics.FENCED_COMMITS.inc()
        raise FencedError(f"the lane {fence.lane} has another holder")
    return answer


@dataclass(slots=True)
class Write:
    """The operations of one commit, in order. Records say themselves where they belong."""

    fence: Fence | None = None
    saved: list[tuple[str, Task | Registration | None]] = field(default_factory=list)
    _keys: list[str] = field(default_factory=list)
    _args: list[Word] = field(default_factory=list)
    _woken: set[LaneName] = field(default_factory=set)

    def command(self) -> tuple[list[str], list[Word]]:
        """Return the script's KEYS and ARGV."""
        fence_key = keys.lane(self.fence.lane) if self.fence else keys.LANES
        epoch = self.fence.epoch if self.fence else ""
        return [fence_key, keys.LANES, *self._keys], [epoch, keys.STIR, keys.WANT, *self._args]

    def _add(self, operation: str, keys_: tuple[str, ...], *args: Word) -> None:
        self._keys.extend(keys_)
        self._args.append(operation)
        self._args.extend(args)

    def task(self, task: Task, *, waiting: Iterable[Registration] = (), polls: str = "") -> None:
        """Save a task; a pending one stands in its account's lane, a settled one hands its waiters to delivery.

        `waiting` are the waiters of a settled task as they are shown from now on, `polls` the last of its trail.
        """
        name, account = task.name, task.name.account
        pending = task.state is TaskState.PENDING
        key = keys.task(name)
        self.saved.append((key, task))
        self._add("save", (key,), task.version, records.write_task(task), 0 if pending else RETENTION_MS)
        lane = LaneName(LaneKind.POLL, account)
        if pending:
            self._add("change", (keys.pending(account), keys.lane(lane)), keys.member(name))
            self._wake(lane)
            return
        self._add("leave", (keys.pending(account),), keys.member(name))
        self._add("forget", (keys.looks(account),), keys.member(name))
        self._add("lay", (keys.trails(account), keys.trail(name)), keys.member(name), polls, RETENTION_MS)
        if not self._own(lane):
            self._add("left", (keys.left(account), keys.lane(lane)), keys.member(name), RETENTION_MS)
            self._wake(lane)
        if task.settled:
            for waiter in task.waiters:
                self.due(account, waiter, delay_s=0.0)
            for registration in waiting:
                self._stand(registration)
                self._tell(registration, EventName.FINAL, registration.final_at or 0.0)

    def registration(
        self, registration: Registration, *, now: float, claimed: bool = False, events: Iterable[EventName] = ()
    ) -> None:
        """Save a registration; a delivering one stands in its account's due deliveries, a settled one nowhere.

        `claimed` keeps a due one for the worker that is about to try it. `events` are told to its client.
        """
        key = keys.registration(registration.id)
        self.saved.append((key, registration))
        ttl_ms = RETENTION_MS if registration.settled else 0
        self._add("save", (key,), registration.version, records.write_registration(registration), ttl_ms)
        self._stand(registration)
        if registration.version == 0:
            self._ask(registration)
        account = registration.task_name.account
        if registration.state is RegistrationState.DELIVERING:
            delay_s = CLAIM_S if claimed else max(0.0, (registration.due_at or now) - now)
            self.due(account, registration.id, delay_s=delay_s)
        elif registration.settled:
            self.leave(account, registration.id)
            self.expire(keys.body(registration.id))
        for name in events:
            self._tell(registration, name, now)

    def due(self, account: str, registration_id: str, *, delay_s: float) -> None:
        """Make a delivery due `delay_s` from the store's now."""
        self._add("due", (keys.due(account),), registration_id, round(delay_s * 1000))
        self._wake(LaneName(LaneKind.DELIVERY, account))

    def leave(self, account: str, registration_id: str) -> None:
        """Take a delivery out of the due ones: nothing is due after all."""
        self._add("leave", (keys.due(account),), registration_id)

    def blob(self, key: str, value: bytes, *, kept: bool) -> None:
        """Save bytes beside a record; with a time to live unless `kept`."""
        self._add("blob", (key,), value, 0 if kept else RETENTION_MS)

    def expire(self, key: str) -> None:
        """Let what is saved beside a record that is settled now come to its end with it."""
        self._add("expire", (key,), RETENTION_MS)

    def value(self, key: str, version: int, value: bytes, *, ttl_s: float) -> None:
        """Save a value that begins with its version, compare-and-set like a record; 0 is the version of none."""
        self.saved.append((key, None))
        self._add("save", (key,), version, value, round(ttl_s * 1000))

    def _stand(self, registration: Registration) -> None:
        """Put it into its client's index, in its state and no other."""
        self._add(
            "stand",
            keys.index(registration.client),
            _STATES.index(registration.state) + 1,
            packed(registration.id),
            made_ms(registration),
            keys.bucket(registration.task_name.request_id),
            RETENTION_MS if registration.settled else 0,
        )

    def _ask(self, registration: Registration) -> None:
        """Let it be found by its RequestID."""
        client = registration.client
        bucket = keys.buckets(client) + keys.bucket(registration.task_name.request_id)
        self._add("asked", (bucket, keys.INDEXED), packed(registration.id), client)

    def _tell(self, registration: Registration, name: EventName, now: float) -> None:
        data = told(name, registration, at=now)
        streams = (keys.events(registration.client), keys.events(None))
        client = orjson.dumps(registration.client)
        self._add("tell", streams, name, registration.id, data, client, EVENTS_KEPT, RETENTION_MS)

    def _own(self, lane: LaneName) -> bool:
        return self.fence is not None and self.fence.lane == lane

    def _wake(self, lane: LaneName) -> None:
        if not self._own(lane) and lane not in self._woken:
            self._woken.add(lane)
            self._add("wake", (keys.lane(lane),), str(lane))
