"""Room: whether a client may have one registration more under way, pending or delivering."""

import asyncio
import time

from relay.context import Relay
from relay.domain.errors import QuotaExceededError
from relay.domain.quota import PENDING, Crowd
from relay.domain.registration import RegistrationState

RETRY_AFTER_S = 30
_UNDER_WAY = (RegistrationState.PENDING, RegistrationState.DELIVERING)


async def take_room(relay: Relay, client: str) -> Crowd:
    """Take a place in the client's crowd, which must hear what became of it.

    Raises QuotaExceededError when the crowd is as large as it may be, StoreUnavailableError.
    """
    limit, crowd = relay.settings.client_pending_limit, relay.crowds.setdefault(client, Crowd())
    if crowd.stale(time.monotonic()):
        count = await under_way(relay, client)
        if crowd.stale(time.monotonic()):  # else somebody has counted later meanwhile, and some have begun since
            crowd.counted(count, now=time.monotonic())
    if not crowd.begin(limit):
        raise QuotaExceededError(PENDING, f"at most {limit} registrations under way", RETRY_AFTER_S)
    return crowd


async def under_way(relay: Relay, client: str) -> int:
    """Return how many of the client's registrations are pending or delivering."""
    return sum(await asyncio.gather(*(relay.index.count(client, state) for state in _UNDER_WAY)))
