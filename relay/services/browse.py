"""Browse: a page of a client's registrations, newest first."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from itertools import chain

from relay.context import Relay
from relay.domain.listing import MAX_PAGE, Listing, Place
from relay.domain.registration import Registration, packed, shard_of, unpacked
from relay.services.show import Shown, with_tasks

MAX_SCANNED = 10_000  # places that a page may look at; with a filter that few pass it is short, and says where to go on
MAX_PAGE_BYTES = 4 * 2**20  # of TaskStatus, which may be 1 MiB each
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Registrations, and after which place the next page begins; None when there is none."""

    shown: list[Shown]
    next_after: Place | None


async def browse(relay: Relay, clients: Collection[str], wanted: Listing, *, max_scanned: int = MAX_SCANNED) -> Page:
    """Return a page of these clients' registrations. It may be short although there is a next one.

    Raises StoreUnavailableError.
    """
    found: list[Shown] = []
    size, scanned, last = 0, 0, wanted.cursor
    async for place, shown in _looked_at(relay, clients, wanted):
        if len(found) == wanted.limit or size > MAX_PAGE_BYTES or scanned == max_scanned:
            return Page(found, last)
        last, scanned = place, scanned + 1
        if shown is not None and wanted.state in {None, shown.registration.state}:
            found.append(shown)
            size += len(shown.task_status or b"")
    return Page(found, None)


async def _looked_at(
    relay: Relay, clients: Collection[str], wanted: Listing
) -> AsyncIterator[tuple[Place, Shown | None]]:
    """Give every place in order, with what stands there if its task is asked for."""
    async for places, registrations in _candidates(relay, clients, wanted):
        for first in range(0, len(places), _AT_ONCE):
            some = places[first : first + _AT_ONCE]
            found = (registrations.get(place.member) for place in some)
            named = [one for one in found if one is not None and wanted.names(one.task_name)]
            shown = {packed(one.registration.id): one for one in await with_tasks(relay, named)}
            for place in some:
                yield place, shown.get(place.member)


Candidates = tuple[list[Place], dict[bytes, Registration]]


async def _candidates(relay: Relay, clients: Collection[str], wanted: Listing) -> AsyncIterator[Candidates]:
    """Give places in order, some at a time, and the records that may be asked for."""
    if wanted.request_id is not None:
        yield await _asked(relay, clients, wanted, wanted.request_id)
        return
    after, full = wanted.cursor, True
    count = MAX_PAGE if wanted.account else min(wanted.limit + 1, _AT_ONCE)
    while full:
        places = await relay.index.page(clients, wanted.state, after=after, count=count)
        if places:
            after = places[-1]
            yield places, await _records(relay, places, wanted)
        full = len(places) == count


async def _asked(relay: Relay, clients: Collection[str], wanted: Listing, request_id: str) -> Candidates:
    ids = await asyncio.gather(*(relay.index.asked(client, request_id) for client in clients))
    found = await relay.store.registrations(tuple(chain.from_iterable(ids)))
    by_place = {Place.of(one): one for one in found if one.task_name.request_id == request_id}
    places = sorted((place for place in by_place if wanted.cursor is None or place < wanted.cursor), reverse=True)
    return places, {place.member: by_place[place] for place in places}


async def _records(relay: Relay, places: list[Place], wanted: Listing) -> dict[bytes, Registration]:
    """Return the records at these places; of those that the id itself excludes, none is read."""
    shard = None if wanted.account is None else shard_of(wanted.account)
    ids = tuple(unpacked(place.member) for place in places if shard in {None, place.member[0]})
    return {packed(one.id): one for one in await relay.store.registrations(ids)}
