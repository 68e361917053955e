"""A slot of the default account's budget for the doctor's one call, taken as a worker takes its own."""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum

from relay.domain.account import Account
from relay.domain.answer import Answer
from relay.domain.errors import FencedError
from relay.domain.slots import Report
from relay.store.keys import LaneKind, LaneName
from relay.store.lanes import Grants, LaneStore, Rate, TurnRequest
from relay.store.store import Store
from relay.store.write import Fence

SLACK_S = 0.5  # between the slot and the call in it
TURNS = 4
LONGEST_WAIT_S = 4.0  # between two turns: a lease is longer


class NotAsked(StrEnum):
    """Why there is no slot."""

    HELD = "held"
    SPENT = "spent"


async def in_slot(
    store: Store, account: Account, call: Callable[[], Awaitable[Answer]], *, timeout_s: float
) -> Answer | NotAsked:
    """Hold the account's lane for one call of at most `timeout_s`, in a slot that the store grants.

    A worker that holds the lane keeps it: two callers could not keep to one window. Raises StoreUnavailableError.
    """
    lanes = LaneStore(store, f"doctor-{os.getpid()}-{secrets.token_hex(3)}")
    fence = await lanes.acquire(LaneName(LaneKind.POLL, account.name))
    if fence is None:
        return NotAsked.HELD
    limit = account.limit_in_use(await lanes.learned(account.name))
    turns = _Turns(lanes, fence, Rate(limit, account.daily_limit, timeout_s + SLACK_S))
    try:
        till_ms = await _granted(turns)
        if till_ms is None:
            return NotAsked.SPENT
        answer = await call()
        await turns.take(want=0, ended=[(till_ms, round(limit.window_s * 1000))])
    except FencedError:  # the call took longer than the lease: the slot is held until it has run out
        return answer
    finally:
        await lanes.release(fence)
    return answer


class _Turns:
    """The turns of one holder, which tell how long it is since the last."""

    def __init__(self, lanes: LaneStore, fence: Fence, rate: Rate) -> None:
        self._lanes, self._fence, self._rate = lanes, fence, rate
        self._turned_at = time.monotonic()
        self._number = 0

    async def take(self, *, want: int, ended: list[tuple[int, int]]) -> Grants:
        """Take the next turn; `ended` are (till, ms for which the slot is held). No turn follows one that failed."""
        now = time.monotonic()
        self._number += 1
        slots = Report(self._number, self._number - 1, [(till_ms, hold_ms, self._number) for till_ms, hold_ms in ended])
        told = TurnRequest(
            elapsed_ms=round((now - self._turned_at) * 1000), want=want, since=0, slots=slots,
            looks={}, statuses={}, all_changes=False, earliest_ms=0,
        )  # fmt: skip
        self._turned_at = now
        return await self._lanes.turn(self._fence, self._rate, told)


async def _granted(turns: _Turns) -> int | None:
    """Wait for a slot and return until when it is held (store ms); None when none comes for a while."""
    for _ in range(TURNS):
        grants = await turns.take(want=1, ended=[])
        if grants.slots:
            at_ms, till_ms, _ = grants.slots[0]
            await asyncio.sleep(max(0, at_ms) / 1000)
            return till_ms
        free_s = LONGEST_WAIT_S if grants.next_free_ms is None else grants.next_free_ms / 1000
        await asyncio.sleep(min(LONGEST_WAIT_S, max(0.1, free_s)))
    return None
