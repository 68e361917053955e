"""Write: what one atomic commit does, built operation by operation; `commit.lua` gives their meaning."""

from dataclasses import dataclass, field

from relay.domain.registration import Registration, RegistrationState
from relay.domain.task import Task, TaskState
from relay.store import keys, records
from relay.store.keys import LaneKind, LaneName
from relay.store.link import Word

RETENTION_MS = 30 * 86_400_000
CLAIM_S = 20.0  # one attempt's 15 s, and room to commit it


@dataclass(frozen=True, slots=True)
class Fence:
    """The lease under which a worker writes: refused when the lane has another holder by then."""

    lane: LaneName
    epoch: str


@dataclass(slots=True)
class Write:
    """The operations of one commit, in order. Records say themselves where they belong."""

    fence: Fence | None = None
    saved: list[tuple[str, Task | Registration]] = field(default_factory=list)
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

    def task(self, task: Task) -> None:
        """Save a task; a pending one stands in its account's lane, a settled one hands its waiters to delivery."""
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
        if task.settled:
            for waiter in task.waiters:
                self.due(account, waiter, delay_s=0.0)

    def registration(self, registration: Registration, *, now: float, claimed: bool = False) -> None:
        """Save a registration; a delivering one stands in its account's due deliveries, a settled one nowhere.

        `claimed` keeps a due one for the worker that is about to try it.
        """
        key = keys.registration(registration.id)
        self.saved.append((key, registration))
        ttl = RETENTION_MS if registration.settled else 0
        self._add("save", (key,), registration.version, records.write_registration(registration), ttl)
        account = registration.task_name.account
        if registration.state is RegistrationState.DELIVERING:
            delay_s = CLAIM_S if claimed else max(0.0, (registration.due_at or now) - now)
            self.due(account, registration.id, delay_s=delay_s)
        elif registration.settled:
            self.leave(account, registration.id)

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

    def _wake(self, lane: LaneName) -> None:
        own = self.fence is not None and self.fence.lane == lane
        if not own and lane not in self._woken:
            self._woken.add(lane)
            self._add("wake", (keys.lane(lane),), str(lane))
