"""LaneStore: who holds which lane until when, the slots of its budget, and what has changed in it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay import metrics
from relay.domain.account import DEFAULT_ACCOUNT, LearnedLimit
from relay.domain.budget import Limit
from relay.domain.outage import Outages
from relay.domain.slots import Report
from relay.domain.task import Looks, Task, TaskName
from relay.store import keys, records
from relay.store.keys import LaneKind, LaneName
from relay.store.scripts import Script
from relay.store.store import Store
from relay.store.write import Fence, held

LEASE_MS = 5_000  # at most 30 s; what the death of a worker costs, so short, but several turns long
AHEAD_MS = 1_200  # slots are granted for one turn ahead: a turn is a second
RENEWED_MEANWHILE_MS = LEASE_MS  # a lease may be renewed while lanes are counted, and must count all the same
FORGOTTEN_MS = 30 * 86_400_000  # a lane that nobody needs; what was learned in it goes with it
FAILED_REST_MS = 1_000
CARE_MS = 3_600_000  # at most; the holder's policy says for how long
PAGE = 1_000

_KINDS = {kind.encode() for kind in LaneKind}  # a version to come may know others


@dataclass(frozen=True, slots=True)
class Rate:
    """What a turn keeps to: the limit, the daily limit or None, and the longest time a call may take (seconds).

    `said` is the digest of what the operator had said when that was read (`AccountStore.said`); "" asks for no check.
    """

    limit: Limit
    daily_limit: int | None
    timeout_s: float
    said: str = ""


@dataclass(frozen=True, slots=True)
class Grants:
    """Slots granted by one turn. `slots` are (ms from the turn's now, store ms until which it is held, how many).

    None is granted to who is `outdated`: the operator has said something newer of the account.
    """

    slots: list[tuple[int, int, int]]
    in_use: int
    jump_ms: int
    next_free_ms: int | None
    changed: list[str]
    change: int
    outdated: bool


@dataclass(slots=True)
class TurnRequest:
    """What the holder of a poll lane tells at its turn.

    `elapsed_ms` since its last turn on its own clock; `slots` as the holder reports them; `looks`, `statuses` and new
    `polls` of the trail by task; `since` the last change number seen; `earliest_ms` from now is when the pace admits
    the next slot.
    """

    elapsed_ms: int
    want: int
    since: int
    slots: Report
    looks: dict[str, Looks]
    statuses: dict[str, bytes]
    all_changes: bool
    earliest_ms: int
    polls: dict[str, str] = field(default_factory=dict)


class LaneStore:
    """Leases, and the turns of poll lanes. Raises FencedError once the lane has another holder."""

    def __init__(self, store: Store, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._acquire = Script(store.link, "acquire")
        self._release = Script(store.link, "release")
        self._turn = Script(store.link, "turn")
        self._keep = Script(store.link, "keep")

    async def acquire(self, lane: LaneName) -> Fence | None:
        """Take the lane, or return None when somebody holds it."""
        epoch, reclaimed = await self._acquire(
            [keys.lane(lane), keys.LANES, keys.suspects(lane)], [str(lane), self._holder, LEASE_MS, CARE_MS]
        )
        if epoch == b"0":
            return None
        metrics.LEASE_RECLAIMS.inc(reclaimed)
        return Fence(lane, epoch.decode())

    async def release(self, fence: Fence, *, failed: bool = False, anew: bool = False) -> None:
        """Hand the lane back, if it is still held.

        One that has failed rests, twice as long with each time in a row; `anew` begins a new row.
        """
        lane = fence.lane
        polls = lane.kind is LaneKind.POLL
        queue = keys.pending(lane.account) if polls else keys.due(lane.account)
        parked = queue if polls else keys.parked(lane.account)
        await self._release(
            [keys.lane(lane), keys.LANES, queue, parked],
            [str(lane), fence.epoch, keys.WANT, lane.kind, FORGOTTEN_MS, FAILED_REST_MS if failed else 0, int(anew)],
        )

    async def turn(self, fence: Fence, rate: Rate, told: TurnRequest) -> Grants:
        """Take one turn of a poll lane; `turn.lua` says what happens in it."""
        account, limit = fence.lane.account, rate.limit
        quantum_ms = max(1, round(limit.pace_s * 1000 / 20))
        answer = await self._turn(
            [
                keys.lane(fence.lane),
                keys.LANES,
                keys.pending(account),
                keys.looks(account),
                keys.left(account),
                keys.trails(account),
                keys.ACCOUNTS,
                *(keys.status(keys.named(account, key)) for key in told.statuses),
            ],
            [
                str(fence.lane), fence.epoch, LEASE_MS, told.elapsed_ms, told.since, PAGE,
                limit.calls, round(limit.window_s * 1000), round(rate.timeout_s * 1000), quantum_ms,
                told.want, AHEAD_MS, rate.daily_limit or 0, told.slots.number,
                " ".join(f"{till}={hold}={number}" for till, hold, number in told.slots.ended),
                int(told.all_changes),
                told.earliest_ms,
                told.slots.heard,
                rate.said, account, DEFAULT_ACCOUNT,
                *(word for pair in told.statuses.items() for word in pair),
                *(
                    word
                    for key, looks in told.looks.items()
                    for word in (key, records.write_looks(looks), told.polls.get(key, ""))
                ),
            ],
        )  # fmt: skip
        return _grants(held(answer, fence), told.since)

    async def learn(self, fence: Fence, learned: LearnedLimit) -> None:
        """Remember the limit that a refusal named; forgotten with the lane. Raises FencedError."""
        told = orjson.dumps([str(learned.limit), str(learned.said), learned.at])
        await self._keep_field(fence, "learned", told)

    async def learned(self, account: str) -> LearnedLimit | None:
        """Return the limit that a refusal has named, if one has."""
        value = await self._store.ask("HGET", keys.lane(LaneName(LaneKind.POLL, account)), "learned")
        if value is None:
            return None
        limit, said, at = orjson.loads(value)
        return LearnedLimit(Limit.parse(limit), Limit.parse(said), at)

    async def slots_in_use(self, account: str) -> int:
        """Return how many slots of the account's budget are held just now, those granted for the next second too."""
        lane = keys.lane(LaneName(LaneKind.POLL, account))
        slots, now_ms = await asyncio.gather(self._store.ask("HGET", lane, "slots"), self._store.now_ms())
        held = (slot.split(b"=") for slot in (slots or b"").split())
        return sum(int(count) for till, count in held if int(till) > now_ms)

    async def keep_model(self, fence: Fence, model: bytes) -> None:
        """Keep what the holder has learned of its tasks. Raises FencedError."""
        await self._keep_field(fence, "model", model)

    async def model(self, fence: Fence) -> bytes | None:
        """Return what the lane's last holder had learned, if any is kept."""
        model: bytes | None = await self._store.ask("HGET", keys.lane(fence.lane), "model")
        return model

    async def keep_outages(self, fence: Fence, outages: Outages) -> None:
        """Keep when the upstream was down. Raises FencedError."""
        await self._keep_field(fence, "outages", orjson.dumps(outages.spans))

    async def outages(self, fence: Fence) -> Outages:
        """Return when the upstream was down, as far as holders of the lane have told."""
        value = await self._store.ask("HGET", keys.lane(fence.lane), "outages")
        return Outages() if value is None else Outages(tuple((began, ended) for began, ended in orjson.loads(value)))

    async def _keep_field(self, fence: Fence, field: str, value: bytes | str) -> None:
        lane = keys.lane(fence.lane)
        held(await self._keep([lane, lane], [fence.epoch, 0, field, value]), fence)

    async def tasks(self, account: str, members: list[str]) -> dict[str, Task | None]:
        """Return by its member each of these tasks that there is, with its looks; None for one that cannot be read."""
        names = {text: _named(account, text) for text in members}
        found = await self._store.tasks([name for name in names.values() if name])
        return {text: found[name] if name else None for text, name in names.items() if not name or name in found}

    async def due(self) -> list[LaneName]:
        """Return lanes that want a holder now, the one that has waited longest first."""
        found = await self._store.ask(
            "ZRANGE", keys.LANES, "-inf", await self._store.now_ms(), "BYSCORE", "LIMIT", 0, PAGE
        )
        return [LaneName.parse(lane.decode()) for lane in found if lane.partition(b":")[0] in _KINDS]

    async def next_due_s(self) -> float | None:
        """Return in how many seconds the first lane will want a holder, or None when there is no lane."""
        first = await self._store.ask("ZRANGE", keys.LANES, 0, 0, "WITHSCORES")
        return (float(first[1]) - await self._store.now_ms()) / 1000 if first else None

    async def share(self, *, alive_s: float) -> int:
        """Say that this worker is alive for so many seconds, and return how many lanes are its fair share."""
        now_ms = await self._store.now_ms()
        alive_ms = round(alive_s * 1000)
        await asyncio.gather(  # together: a set without a time to live would stay for ever
            self._store.ask("ZADD", keys.WORKERS, now_ms + alive_ms, self._holder),
            self._store.ask("PEXPIRE", keys.WORKERS, alive_ms),
        )
        await self._store.ask("ZREMRANGEBYSCORE", keys.WORKERS, "-inf", now_ms)
        workers: int = await self._store.ask("ZCARD", keys.WORKERS)
        lanes: int = await self._store.ask("ZCOUNT", keys.LANES, "-inf", now_ms + LEASE_MS + RENEWED_MEANWHILE_MS)
        return -(-lanes // max(1, workers))

    async def leave(self) -> None:
        """Say that this worker takes no more lanes."""
        await self._store.ask("ZREM", keys.WORKERS, self._holder)


def _named(account: str, text: str) -> TaskName | None:
    """Return the task of this member, or None when this version does not know its operation."""
    try:
        return keys.named(account, text)
    except ValueError as error:
        records.unreadable("task", type(error).__name__, account=account)
        return None


def _grants(answer: Any, since: int) -> Grants:
    now_ms, in_use, jump_ms, grants, next_free_ms, changes, outdated = answer
    triples = zip(grants[::3], grants[1::3], grants[2::3], strict=True)
    return Grants(
        slots=[(at - now_ms, till, count) for at, till, count in triples],
        in_use=in_use,
        jump_ms=jump_ms,
        next_free_ms=None if next_free_ms < 0 else next_free_ms - now_ms,
        changed=[member.decode() for member in changes[::2]],
        change=int(float(changes[-1])) if changes else since,
        outdated=outdated == 1,
    )
