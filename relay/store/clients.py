"""ClientStore: what all API processes together know of the clients: calls in the present window, keys' last use."""

from relay.store import keys
from relay.store.scripts import Script
from relay.store.store import Store

USE_KEPT_S = 400 * 86_400


class ClientStore:
    """Everything in it has a time to live. Raises StoreUnavailableError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._count = Script(store.link, "count")

    async def spend(self, client: str, window: int, calls: int, *, ttl_s: float) -> int:
        """Add to the client's calls in a window, and return how many all processes have told of."""
        total: int = await self._count([keys.calls(client, window)], [calls, round(ttl_s * 1000)])
        return total

    async def used(self, uses: dict[str, float]) -> None:
        """Keep when these keys, by fingerprint, were last used (Unix seconds)."""
        for fingerprint, at in uses.items():
            await self._store.ask("SET", keys.used(fingerprint), int(at), "EX", USE_KEPT_S)

    async def last_used(self, fingerprints: list[str]) -> list[float | None]:
        """Return when each of these keys was last used (Unix seconds, to the minute), None when it is not known."""
        if not fingerprints:
            return []
        found = await self._store.ask("MGET", *(keys.used(fingerprint) for fingerprint in fingerprints))
        return [None if value is None else float(value) for value in found]
