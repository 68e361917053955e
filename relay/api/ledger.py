"""Ledger: what each client spends of its quota and when each key was used, told to the store in the background."""

import asyncio
import time

from relay import log
from relay.domain.budget import Limit
from relay.domain.errors import StoreUnavailableError
from relay.domain.quota import Spending, Standing
from relay.store.clients import ClientStore

TELL_S = 1.0
USE_TOLD_EACH_S = 60.0

logger = log.get(__name__)


class Ledger:
    """Counts in memory; `keep` shares it with the other processes. A store out of reach stops nobody."""

    def __init__(self, clients: ClientStore, limit: Limit) -> None:
        self._clients = clients
        self._limit = limit
        self._spendings: dict[str, Spending] = {}
        self._active: set[str] = set()
        self._used_at: dict[str, float] = {}
        self._use_told_at: dict[str, float] = {}

    def spend(self, client: str) -> Standing:
        """Count one call of the client, and return how it stands."""
        spending = self._spendings.get(client)
        if spending is None:
            spending = self._spendings[client] = Spending(self._limit)
        self._active.add(client)
        return spending.spend(time.time())

    def used(self, fingerprint: str) -> None:
        """Hear that this key was used."""
        self._used_at[fingerprint] = time.time()

    async def keep(self) -> None:
        """Tell and hear once a second, for ever."""
        while True:
            await asyncio.sleep(TELL_S)
            try:
                await self.tell()
            except StoreUnavailableError as error:
                logger.info("ledger_not_told", reason=str(error))

    async def tell(self) -> None:
        """Tell the store what is new since the last time, and hear what the other processes have told."""
        active, self._active = self._active, set()
        await asyncio.gather(*(self._tell_spending(client) for client in active))
        uses = {key: at for key, at in self._used_at.items() if at > self._use_told_at.get(key, 0.0) + USE_TOLD_EACH_S}
        if uses:
            await self._clients.used(uses)
            self._use_told_at |= uses

    async def _tell_spending(self, client: str) -> None:
        spending = self._spendings[client]
        window, calls = spending.untold(time.time())
        spending.heard(window, await self._clients.spend(client, window, calls, ttl_s=2 * self._limit.window_s))
