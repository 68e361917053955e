"""Room: whether the store has memory left for what is new, so that what is under way can always end."""

import time
from contextlib import suppress

from relay.domain.errors import StoreUnavailableError
from relay.store.store import Store

FULL = 0.8  # of maxmemory
FRESH_S = 1.0


class Room:
    """Looks at the store's memory once a second at most, and each time while it is full."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._used = 0.0
        self._asked_at = 0.0

    async def require(self) -> None:
        """Raise StoreUnavailableError when nothing new is to be taken. A store that does not tell has room."""
        if self._used >= FULL or time.monotonic() - self._asked_at > FRESH_S:
            self._asked_at = time.monotonic()  # before the answer: whoever comes meanwhile goes on
            with suppress(StoreUnavailableError):
                self._used = _used(await self._store.ask("INFO", "memory"))
        if self._used >= FULL:
            raise StoreUnavailableError(f"the store has used {self._used:.0%} of its maxmemory: nothing new is taken")


def _used(told: bytes) -> float:
    info = dict(line.partition(":")[::2] for line in told.decode().split())
    limit = int(info.get("maxmemory", 0))
    return int(info.get("used_memory", 0)) / limit if limit else 0.0
