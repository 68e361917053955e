"""Care: how a lane's holder tries its work after a holder has vanished; `domain/suspicion.py` says what for."""

import asyncio
from contextlib import suppress

from relay.context import Relay
from relay.domain.errors import FencedError, StoreUnavailableError
from relay.domain.suspicion import Standing, standing
from relay.store.write import Fence

AGAIN_S = 1.0


class Care:
    """Names what is tried while care is due, and tries one suspect at a time. At other times it costs nothing."""

    def __init__(self, relay: Relay, fence: Fence) -> None:
        self._relay = relay
        self._fence = fence
        self._loop = asyncio.get_running_loop()
        self._careful_until = self._rested_at = 0.0
        self._deaths: dict[str, int] = {}
        self._named: set[str] = set()

    async def recall(self) -> list[str]:
        """Take in how earlier holders of the lane have ended; return what has killed too often to be tried again."""
        policy, now = self._relay.suspicion, self._loop.time()
        self._careful_until = now + min(policy.care_s, await self._relay.suspects.care_s(self._fence))
        self._rested_at = now + policy.rest_s
        self._deaths = await self._relay.suspects.deaths(self._fence)
        return [key for key in self._deaths if self._standing(key) is Standing.CONDEMNED]

    def rest_s(self, key: str) -> float:
        """Return for how many seconds not to try this yet: 0 when `begin` may follow at once."""
        if self._standing(key) is Standing.TRUSTED:
            return 0.0
        return max(self._rested_at - self._loop.time(), AGAIN_S if self._relay.on_trial else 0.0)

    async def begin(self, key: str) -> None:
        """Name what is about to be tried, if care is due. Whatever comes of it, `end` must follow."""
        suspect = self._standing(key) is not Standing.TRUSTED
        if suspect:
            self._relay.on_trial.add(key)
        if suspect or self._loop.time() < self._careful_until:
            self._named.add(key)
            await self._relay.suspects.name(self._fence, key, self._deaths.get(key, 1))

    async def end(self, key: str) -> None:
        """Clear what was tried and killed nobody, also when the store could not be told what came of it."""
        if key not in self._named:
            return
        self._named.discard(key)
        try:
            with suppress(FencedError, StoreUnavailableError):
                await self._relay.suspects.clear(self._fence, key)
        finally:
            self._deaths.pop(key, None)
            self._relay.on_trial.discard(key)

    def _standing(self, key: str) -> Standing:
        return standing(self._deaths.get(key, 0), self._relay.suspicion)
