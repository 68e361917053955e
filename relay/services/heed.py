"""Heed: wait until every worker keeps to what the operator has said of an account."""

import asyncio
import time
from contextlib import suppress

from relay.context import Relay
from relay.domain.account import DEFAULT_ACCOUNT
from relay.domain.errors import StoreUnavailableError
from relay.store.lanes import AHEAD_MS
from relay.store.link import TIMEOUT_S

LOOK_S = 0.02
GRANTED_S = AHEAD_MS / 1000 + TIMEOUT_S + 0.5  # a grant whose answer came last of all, and twice its holder's slack


async def heeded(relay: Relay, name: str) -> None:
    """Return once nobody polls by anything older than what the store says of the account now.

    A worker hears of it with its next turn, which it is told to take. From one that does not, nothing is to be feared
    once all that was granted before has run out: `turn.lua` grants it no more.
    """
    ends_at = time.monotonic() + GRANTED_S
    waiting = None if name == DEFAULT_ACCOUNT else [name]  # all hang on the default one
    while waiting != [] and time.monotonic() < ends_at:
        with suppress(StoreUnavailableError):
            among = await relay.accounts.polled() if waiting is None else waiting
            waiting = [one for one in among if not await relay.accounts.heeded(one)]
        if waiting != []:
            await asyncio.sleep(LOOK_S)
