"""Standings: the admin's stream of events tells how the accounts stand, whenever that has changed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from relay.api.accounts import render_all
from relay.context import Relay
from relay.domain.errors import StoreUnavailableError
from relay.domain.event import EventName
from relay.services.survey import survey
from relay.store.knocks import Knock

EACH_S = 1.0
SHARE = 0.05  # so much of the time, at most, is spent on asking: thousands of accounts are asked about less often


class Standings:
    """What is to be told of the accounts. It is kept nowhere, so its event has no id."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._known = b""
        self._untold = b""

    def take(self) -> bytes:
        """Return the event that is to be told, once; nothing when the accounts stand as they did."""
        untold, self._untold = self._untold, b""
        return untold

    @asynccontextmanager
    async def watched(self, knock: Knock) -> AsyncIterator[None]:
        """Look at the accounts while the block runs, and knock when there is something to tell."""
        watching = asyncio.create_task(self._watch(knock))
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self, knock: Knock) -> None:
        while True:
            begun = time.monotonic()
            with suppress(StoreUnavailableError):
                found = render_all(await survey(self._relay))
                if found != self._known:
                    self._known = found
                    self._untold = b"event: %s\ndata: %s\n\n" % (EventName.ACCOUNTS.encode(), found)
                    knock.sound()
            await asyncio.sleep(max(EACH_S, (time.monotonic() - begun) / SHARE))
