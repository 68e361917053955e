"""Counts: how much waits and since when, read from the store when somebody asks."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from relay.domain.registration import RegistrationState
from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from relay.store.store import Store

STATES = tuple(RegistrationState)
AT_ONCE = 500  # questions; so that nothing else waits long


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many registrations are in a state, and how long (seconds) the oldest of each kind has been due."""

    registrations: dict[str, int]
    oldest_due_s: dict[str, float]


async def waiting(store: Store) -> Waiting:
    """Count over all accounts and clients.

    A poll is due here when nobody holds its lane, since the lane wants a holder; that of a lane which is held, its
    holder knows. A delivery is due when its time has come and nobody has claimed it.
    """
    now_ms = await store.now_ms()
    found = await store.ask("ZRANGE", keys.LANES, 0, -1, "WITHSCORES")
    lanes = [(LaneName.parse(lane.decode()), float(score)) for lane, score in zip(found[::2], found[1::2], strict=True)]
    polls = [(lane.account, wanted_ms) for lane, wanted_ms in lanes if lane.kind is LaneKind.POLL]
    due = [keys.due(lane.account) for lane, _ in lanes if lane.kind is LaneKind.DELIVERY]
    firsts = await _each(store, [("ZRANGE", key, 0, 0, "WITHSCORES") for key in due])
    return Waiting(
        await _registrations(store),
        {
            LaneKind.POLL: _age_s(now_ms, (wanted_ms for _, wanted_ms in polls)),
            LaneKind.DELIVERY: _age_s(now_ms, (float(first[1]) for first in firsts if first)),
        },
    )


async def _registrations(store: Store) -> dict[str, int]:
    """Return how many stand in the clients' indexes, by state; what has come to its end too, until it is swept."""
    clients = [client.decode() for client in await store.ask("SMEMBERS", keys.INDEXED)]
    counts = await _each(store, [("ZCARD", zset) for client in clients for zset in keys.index(client)[: len(STATES)]])
    return {state: sum(counts[place :: len(STATES)]) for place, state in enumerate(STATES)}


async def waiting_for(store: Store, account: str) -> tuple[int, int]:
    """Return how many of the account's tasks are pending, and how many of its callbacks are under way."""
    zsets = (keys.pending(account), keys.due(account), keys.parked(account))
    pending, due, parked = await _each(store, [("ZCARD", zset) for zset in zsets])
    return pending, due + parked


async def _each(store: Store, commands: list[tuple[Any, ...]]) -> list[Any]:
    """Return the answers, a few hundred questions at a time."""
    answers: list[Any] = []
    for first in range(0, len(commands), AT_ONCE):
        answers += await asyncio.gather(*(store.ask(*command) for command in commands[first : first + AT_ONCE]))
    return answers


def _age_s(now_ms: int, due_ms: Iterable[float]) -> float:
    return max(0.0, now_ms - min(due_ms, default=now_ms)) / 1000
