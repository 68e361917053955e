"""Time in tests: waiting for what must come, and a clock on which hours pass at once."""

import asyncio
import inspect
import time
from collections.abc import Callable

from relay.store import keys
from relay.store.store import Store

ASKED_EACH_S = 0.005


async def wait_until(holds: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Return once `holds()`, awaited if it can be, is true. After `within_s` raises AssertionError, which shows it."""
    try:
        async with asyncio.timeout(within_s):
            while not await _asked(holds):  # noqa: ASYNC110 - what is waited for lives in other processes too
                await asyncio.sleep(ASKED_EACH_S)
    except TimeoutError:
        raise AssertionError(f"still not so after {within_s:g} s: {inspect.getsource(holds).strip()}") from None


async def _asked(holds: Callable[[], object]) -> object:
    answer = holds()
    return await answer if inspect.isawaitable(answer) else answer


class VirtualClock:
    """The wall clock, moved ahead as a test says: a relay's own (`Relay.clock`) and its store's, by the same time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead_s

    async def pass_s(self, seconds: float) -> None:
        """Let so much time pass now."""
        self._ahead_s += seconds
        await self._store.ask("HINCRBY", keys.CLOCK, "ahead", round(seconds * 1000))
