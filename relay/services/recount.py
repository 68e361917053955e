"""Recount: what has happened to a registration."""

from relay.context import Relay
from relay.domain.caller import Caller
from relay.domain.timeline import Timeline, timeline
from relay.services.show import show


async def recount(relay: Relay, caller: Caller, registration_id: str) -> Timeline:
    """Return the timeline of a registration that the caller sees.

    Polls of the last second may be missing. Raises NotFoundError and StoreUnavailableError.
    """
    registration = (await show(relay, caller, registration_id)).registration
    return timeline(registration, await relay.store.trail(registration.task_name))
