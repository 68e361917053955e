"""Index: which registrations a client has, by state and by RequestID, newest first.

Entries move in the script that moves their record; those of records that have come to their end are swept out.
"""

from collections.abc import Iterable

from relay.domain.listing import Place
from relay.domain.registration import RegistrationState, unpacked
from relay.store import keys
from relay.store.scripts import Script
from relay.store.store import Store

SWEPT_AT_ONCE = 1_000
_STATES = tuple(RegistrationState)


class Index:
    """What stands in the index; `Write` alone puts it there. Raises StoreUnavailableError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._page = Script(store.link, "page")
        self._sweep = Script(store.link, "sweep")

    async def page(
        self, clients: Iterable[str], state: RegistrationState | None, *, after: Place | None, count: int
    ) -> list[Place]:
        """Return the places of up to `count` registrations, newest first, of those older than `after`.

        One script reads them, so that a registration that moves meanwhile is there once.
        """
        wanted = _STATES if state is None else (state,)
        zsets = [keys.index(client)[_STATES.index(one)] for client in clients for one in wanted]
        if not zsets:
            return []
        found = await self._page(
            zsets, ["+inf" if after is None else after.at_ms, after.member if after else b"", count]
        )
        return [Place(int(score), member) for member, score in zip(found[::2], found[1::2], strict=True)]

    async def asked(self, client: str, request_id: str) -> tuple[str, ...]:
        """Return the ids of the client's registrations for this RequestID, and of some others."""
        members = await self._store.ask("SMEMBERS", keys.buckets(client) + keys.bucket(request_id))
        return tuple(unpacked(member) for member in members)

    async def count(self, client: str, state: RegistrationState) -> int:
        """Return how many registrations the client has in this state."""
        found: int = await self._store.ask("ZCARD", keys.index(client)[_STATES.index(state)])
        return found

    async def clients(self) -> list[str]:
        """Return every client that has registrations, by name."""
        return sorted(client.decode() for client in await self._store.ask("SMEMBERS", keys.INDEXED))

    async def sweep(self, client: str) -> int:
        """Take out entries of records that have come to their end, a thousand at most; return how many."""
        swept: int = await self._sweep(
            [*keys.index(client), keys.INDEXED], [client, SWEPT_AT_ONCE, keys.buckets(client)]
        )
        return swept
