"""The law of the store, asked after each test: no key is forgotten, and nobody who waits is.

A key without a time to live has somebody who will come for it: a lane's holder, or a record that is still under way.
A record under way stands where it will be found: a pending task in its lane, a pending registration with its task, a
delivering one among the due or the parked (where one that was cancelled may stand until it is recalled), and a lane
with work in `relay:lanes`. A client's index has every registration once, in the state in which it is shown, and nothing
else.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from redis.asyncio import Redis

from relay.domain.registration import Registration, RegistrationState, packed
from relay.domain.task import Task, TaskState
from relay.store import keys, records
from relay.store.keys import LaneKind, LaneName

OF_ARQ = (keys.QUEUE,)  # arq's queue names jobs, which end by themselves and carry nothing but a lane's name
ALWAYS = (keys.ACCOUNTS, keys.CLOCK, keys.LANES, keys.PAUSED)
OF_CLIENTS = ("relay:index:", "relay:asked:", keys.INDEXED)  # as lasting as what is in them


@dataclass
class _Left:
    """What is in the store: which keys stay for ever, and what the others' meaning hangs on."""

    lasting: set[str] = field(default_factory=set)
    tasks: dict[str, Task] = field(default_factory=dict)
    registrations: dict[str, Registration] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    indexed: dict[str, set[bytes]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    @property
    def lanes(self) -> set[str]:
        return self.members.get(keys.LANES, set())


async def complaints(redis: Redis) -> list[str]:
    """Return everything that is forgotten; none when all is well."""
    left = await _read(redis)
    return [*_forgotten_keys(left), *_forgotten_lanes(left), *_forgotten_waiters(left), *_wrong_index(left)]


async def _read(redis: Redis) -> _Left:
    left = _Left()
    async for name in redis.scan_iter(count=1_000):
        key = name.decode()
        if await redis.pttl(key) == -1:
            left.lasting.add(key)
        await _read_one(redis, key, left)
    return left


async def _read_one(redis: Redis, key: str, left: _Left) -> None:
    kind = await redis.type(key)
    if key.startswith(OF_CLIENTS):
        left.indexed[key] = {entry async for entry, *_ in _entries(redis, key, kind)}
    elif kind == b"zset":
        left.members[key] = {member.decode().rpartition("\0")[2] for member in await redis.zrange(key, 0, -1)}
    elif kind == b"hash":
        fields = {field.decode() async for field, _ in redis.hscan_iter(key)}
        left.members[key] = fields
        if ":lane:" in key and "holder" in fields:
            left.held.add(key)
    elif ":task:" in key:
        account, member = key.split(":", 4)[3:]
        left.tasks[key] = records.read_task(keys.named(account, member), await redis.get(key))
    elif ":reg:" in key:
        id_ = key.rpartition(":")[2]
        left.registrations[id_] = records.read_registration(id_, await redis.get(key))


async def _entries(redis: Redis, key: str, kind: bytes) -> AsyncIterator[tuple[bytes, ...]]:
    if kind == b"zset":
        async for entry in redis.zscan_iter(key):
            yield entry
    else:
        async for member in redis.sscan_iter(key):
            yield (member,)


def _forgotten_keys(left: _Left) -> Iterator[str]:
    lanes = [LaneName.parse(lane) for lane in left.lanes]
    allowed = {*OF_ARQ, *ALWAYS, *left.held, *map(keys.lane, lanes), *(keys.parked(lane.account) for lane in lanes)}
    for task in left.tasks.values():
        if task.state is TaskState.PENDING:
            account = task.name.account
            allowed |= {keys.task(task.name), keys.status(task.name), keys.pending(account), keys.looks(account)}
            allowed.add(keys.trails(account))
    for registration in left.registrations.values():
        if not registration.settled:
            allowed |= {keys.registration(registration.id), keys.body(registration.id)}
            allowed.add(keys.due(registration.task_name.account))
    for key in sorted(left.lasting - allowed - left.indexed.keys()):
        yield f"{key} stays for ever, and nobody will come for it"
    for task in left.tasks.values():
        account, member = task.name.account, keys.member(task.name)
        if task.state is not TaskState.PENDING and member in left.members.get(keys.looks(account), set()):
            yield f"the looks of {member} stay, and it is {task.state}"
        if task.state is not TaskState.PENDING and member in left.members.get(keys.trails(account), set()):
            yield f"the trail of {member} stays with those of pending tasks, and it is {task.state}"


def _forgotten_lanes(left: _Left) -> Iterator[str]:
    for account, kind, waiting in _queues(left):
        if waiting and str(LaneName(kind, account)) not in left.lanes:
            yield f"{kind}:{account} has {len(waiting)} waiting and is no lane"


def _queues(left: _Left) -> Iterator[tuple[str, LaneKind, set[str]]]:
    for key, members in left.members.items():
        parts = key.split(":")
        if len(parts) == 4 and parts[2] in {"pending", "due", "parked"}:
            yield parts[3], LaneKind.POLL if parts[2] == "pending" else LaneKind.DELIVERY, members


def _forgotten_waiters(left: _Left) -> Iterator[str]:
    for task in left.tasks.values():
        pending = left.members.get(keys.pending(task.name.account), set())
        if (task.state is TaskState.PENDING) != (keys.member(task.name) in pending):
            yield f"{keys.member(task.name)} is {task.state}, and its lane says otherwise"
    for registration in left.registrations.values():
        account = registration.task_name.account
        due = left.members.get(keys.due(account), set())
        if not registration.settled:
            due |= left.members.get(keys.parked(account), set())
        task_of = left.tasks.get(keys.task(registration.task_name))
        waits = task_of is not None and task_of.state is TaskState.PENDING and registration.id in task_of.waiters
        found = registration.id in due or (waits and registration.state is RegistrationState.PENDING)
        if registration.settled == found:
            yield f"{registration.id} is {registration.state}, and {'due' if found else 'nobody will find it'}"


def _wrong_index(left: _Left) -> Iterator[str]:
    expected: dict[str, set[bytes]] = {}
    for one in left.registrations.values():
        bucket, member = keys.bucket(one.task_name.request_id), packed(one.id)
        places = [
            (f"relay:index:{_shown(one, left)}:{one.client}", member),
            (keys.buckets(one.client) + bucket, member),
        ]
        if one.settled:
            places.append((f"relay:index:ends:{one.client}", member + bucket.encode()))
        for key, entry in (*places, (keys.INDEXED, one.client.encode())):
            expected.setdefault(key, set()).add(entry)
    for key in sorted(expected.keys() | left.indexed.keys()):
        if expected.get(key) != left.indexed.get(key):
            yield f"{key} has {left.indexed.get(key)}, and the records say {expected.get(key)}"


def _shown(registration: Registration, left: _Left) -> RegistrationState:
    task = left.tasks.get(keys.task(registration.task_name))
    taken_up = registration.state is not RegistrationState.PENDING or task is None or not task.settled
    return registration.state if taken_up else RegistrationState.DELIVERING
