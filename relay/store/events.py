"""Events: what has happened to a client's registrations, or to everybody's; ten thousand or so, for thirty days."""

from relay.domain.event import Event, EventId
from relay.store import keys
from relay.store.store import Store


class Events:
    """What `Write` has told; everybody is None, and there each says its client. Raises StoreUnavailableError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, client: str | None, *, after: EventId, count: int) -> list[Event]:
        """Return up to `count` events of the client after that one, oldest first."""
        found = await self._store.ask("XRANGE", keys.events(client), f"({after}", "+", "COUNT", count)
        return [Event(EventId.parse(id_.decode()), fields[1].decode(), fields[3]) for id_, fields in found]

    async def first(self, client: str | None) -> EventId | None:
        """Return the oldest event that is kept, if any is."""
        return _only_id(await self._store.ask("XRANGE", keys.events(client), "-", "+", "COUNT", 1))

    async def last(self, client: str | None) -> EventId | None:
        """Return the newest event, if any is kept."""
        return _only_id(await self._store.ask("XREVRANGE", keys.events(client), "+", "-", "COUNT", 1))


def _only_id(found: list[tuple[bytes, list[bytes]]]) -> EventId | None:
    return EventId.parse(found[0][0].decode()) if found else None
