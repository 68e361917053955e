"""Overview: how many registrations stand where."""

import asyncio
from collections.abc import Collection

from relay.context import Relay
from relay.domain.registration import RegistrationState


async def overview(relay: Relay, clients: Collection[str]) -> dict[str, int]:
    """Return how many of these clients' registrations are in each state. Raises StoreUnavailableError."""
    counted = await asyncio.gather(*(_count(relay, clients, state) for state in RegistrationState))
    return {state.value: count for state, count in zip(RegistrationState, counted, strict=True)}


async def _count(relay: Relay, clients: Collection[str], state: RegistrationState) -> int:
    return sum(await asyncio.gather(*(relay.index.count(client, state) for client in clients)))
