"""Counts: how much waits, read from the store when somebody asks."""

from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from relay.store.store import Store


async def counts(store: Store) -> tuple[int, int]:
    """Return how many tasks are pending and how many deliveries are due some time, over all accounts."""
    lanes = [LaneName.parse(lane.decode()) for lane in await store.ask("ZRANGE", keys.LANES, 0, -1)]
    pending = due = 0
    for lane in lanes:
        if lane.kind is LaneKind.POLL:
            pending += await store.ask("ZCARD", keys.pending(lane.account))
        else:
            due += await store.ask("ZCARD", keys.due(lane.account))
    return pending, due
