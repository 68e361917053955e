"""DeliveryStore: what of an account's deliveries is due, claimed or parked."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.domain.admission import party
from relay.store import keys, records
from relay.store.lanes import LEASE_MS
from relay.store.scripts import Script
from relay.store.store import Store
from relay.store.write import CLAIM_S, Fence, held


@dataclass(frozen=True, slots=True)
class Claims:
    """What one turn of a delivery lane gave: ids to try, and seconds until the next is due, or None."""

    claimed: list[str]
    recalled: list[list[str]]
    next_due_s: float | None


class DeliveryStore:
    """The turns of delivery lanes. Raises FencedError once the lane has another holder."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._claim = Script(store.link, "claim")

    async def claim(
        self,
        fence: Fence,
        *,
        want: int,
        park: Sequence[tuple[str, str]] = (),
        crowds: Sequence[str] = (),
        recall: Sequence[tuple[str, int]] = (),
    ) -> Claims:
        """Take one turn of a delivery lane: claim up to `want` due ids, park (place, id), recall (place, how many).

        Of a host or client in `crowds` everything that is due is parked, some hundreds a turn.
        """
        lane = fence.lane
        answer = await self._claim(
            [keys.lane(lane), keys.LANES, keys.due(lane.account), keys.parked(lane.account)],
            [
                str(lane), fence.epoch, LEASE_MS, want, round(CLAIM_S * 1000), keys.registrations(lane.account),
                len(park), *(word for pair in park for word in pair),
                len(crowds), *(word for place in crowds for word in (place, records.addressed(*party(place)))),
                *(word for pair in recall for word in pair),
            ],
        )  # fmt: skip
        next_due_ms, claimed, *recalled = held(answer, fence)
        return Claims(
            claimed=[id_.decode() for id_ in claimed],
            recalled=[[id_.decode() for id_ in ids] for ids in recalled],
            next_due_s=None if next_due_ms < 0 else next_due_ms / 1000,
        )

    async def parked_places(self, fence: Fence) -> set[str]:
        """Return the places at which deliveries of the lane are parked."""
        places: set[str] = set()
        after = b"-"
        while found := await self._store.ask(
            "ZRANGE", keys.parked(fence.lane.account), after, "+", "BYLEX", "LIMIT", 0, 1
        ):
            place = found[0].partition(b"\0")[0]
            places.add(place.decode())
            after = b"(" + place + b"\1"
        return places

    async def addressees(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return client and callback URL of those of these registrations that there are."""
        if not ids:
            return {}
        values = await self._store.ask("MGET", *map(keys.registration, ids))
        return {id_: records.read_addressee(value) for id_, value in zip(ids, values, strict=True) if value}
