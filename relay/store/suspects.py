"""SuspectStore: what a lane's holders were trying when they vanished; `domain/suspicion.py` says what for."""

from relay.store import keys
from relay.store.scripts import Script
from relay.store.store import Store
from relay.store.write import Fence, held

KEPT_MS = 86_400_000  # a suspicion that nobody could confirm for a day is none


class SuspectStore:
    """Names of work under way, which outlive who does it. Raises FencedError once the lane has another holder."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keep = Script(store.link, "keep")

    async def care_s(self, fence: Fence) -> float:
        """Return for how many seconds more the lane is to be worked with care."""
        until_ms = await self._store.ask("HGET", keys.lane(fence.lane), "careful")
        return max(0, int(until_ms or 0) - await self._store.now_ms()) / 1000

    async def deaths(self, fence: Fence) -> dict[str, int]:
        """Return of each suspect in how many deaths in a row it was under way."""
        found = await self._store.ask("HGETALL", keys.suspects(fence.lane))
        return {key.decode(): int(deaths) for key, deaths in zip(found[::2], found[1::2], strict=True)}

    async def name(self, fence: Fence, key: str, deaths: int) -> None:
        """Write down that this is about to be tried, after so many deaths."""
        await self._write(fence, key, f"{deaths}+")

    async def clear(self, fence: Fence, key: str) -> None:
        """Write down that it was tried and nobody died of it."""
        await self._write(fence, key, "")

    async def _write(self, fence: Fence, key: str, value: str) -> None:
        hash_ = keys.suspects(fence.lane)
        held(await self._keep([keys.lane(fence.lane), hash_], [fence.epoch, KEPT_MS, key, value]), fence)
