"""DeliveryLane: the due deliveries of one account's registrations, as long as this worker holds them."""

import asyncio
import re
from contextlib import suppress

from relay import log
from relay.context import Relay
from relay.domain.admission import Delivery
from relay.domain.destination import Target, parse
from relay.domain.errors import FencedError, StoreUnavailableError, UnreadableError
from relay.lanes.care import Care
from relay.lanes.desk import Desk
from relay.lanes.parking import Parking
from relay.lanes.stirring import Stirring
from relay.services.condemn import condemn_delivery
from relay.services.deliver import Tried, deliver
from relay.store.deliveries import Claims
from relay.store.lanes import LEASE_MS
from relay.store.write import Fence, Write

CLAIMS = 128  # a turn, so that nothing else waits long while they are looked at
RENEW_S = 1.0
LINGER_S = 2.0
AWAKE_S = 10.0  # a lane whose next delivery is further away is handed back until then
DRAIN_S = 0.8
UNREADABLE_REST_S = 3_600.0  # until it is tried again: somebody may have mended it

Attempt = asyncio.Task[Tried | None]

_ORIGIN = re.compile("[^/]*//[^/?#]*")  # what is parsed, so that a host is parsed once and not each of its URLs

logger = log.get(__name__)


class DeliveryLane:
    """Claims what is due and tries each callback once, when the desk lets it begin. Ends like a PollLane."""

    def __init__(self, relay: Relay, fence: Fence, desk: Desk) -> None:
        self.fence = fence
        self._relay = relay
        self._care = Care(relay, fence)
        self._desk = desk
        self._account = fence.lane.account
        self._stirring = Stirring()
        self._loop = asyncio.get_running_loop()
        self._held: set[str] = set()  # claimed, and waiting here or under way: claimed again, they are not taken twice
        self._parking = Parking(lambda place: desk.waiting(place, self._account))
        self._attempts: set[Attempt] = set()
        self._renewed_at = self._busy_at = self._loop.time()
        self._next_claim_at = 0.0
        self._stirred = False
        self._stopping = False

    def stir(self) -> None:
        """Claim now: something has become due."""
        self._stirred = True
        self._stirring.stir()

    def stop(self) -> None:
        """Claim no more, and hand the lane back."""
        self._stopping = True
        self._stirring.stir()

    async def run(self) -> None:
        self._desk.join(self._account, self._begin)
        try:
            await self._work()
        except FencedError:
            logger.warning("lane_lost", lane=str(self.fence.lane))
        except StoreUnavailableError:
            logger.warning("lane_not_handed_back", lane=str(self.fence.lane))
        finally:
            self._desk.leave(self._account)
            for attempt in self._attempts:
                attempt.cancel()
            await asyncio.gather(*self._attempts, return_exceptions=True)

    async def _work(self) -> None:
        await self._condemn()
        self._parking.found(await self._relay.deliveries.parked_places(self.fence))
        while not self._stopping:
            if self._stirred or self._loop.time() >= self._next_claim_at:
                self._stirred = False  # before the turn: what stirs during it wants another one
                await self._turn()
            await self._stirring.sleep_until(0.0 if self._stirred else self._next_claim_at)
        await self._hand_back()

    async def _hand_back(self) -> None:
        """Leave what has not begun to the next holder; what is broken off is claimed still, and falls due again."""
        for place, delivery in self._desk.leave(self._account):
            self._parking.park(delivery.id, place)
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=DRAIN_S)
        while park := self._parking.leaving():
            await self._relay.deliveries.claim(self.fence, want=0, park=park)
            self._parked(park)
        await self._relay.lanes.release(self.fence)

    async def _condemn(self) -> None:
        for id_ in await self._care.recall():
            with suppress(UnreadableError):  # it will be put off
                await condemn_delivery(self._relay, self.fence, id_, now=self._relay.clock())
            await self._relay.suspects.clear(self.fence, id_)

    async def _turn(self) -> None:
        started = self._loop.time()
        park, recall = self._parking.leaving(), self._parking.recalls()
        try:
            claims = await self._relay.deliveries.claim(
                self.fence, want=CLAIMS, park=park, crowds=self._parking.crowds(), recall=recall
            )
            self._renewed_at = started
            self._parked(park)
            await self._offer_all(claims.claimed)
            for (place, asked), ids in zip(recall, claims.recalled, strict=True):
                self._parking.recalled(place, asked=asked, came=len(ids))
            await self._offer_all([id_ for ids in claims.recalled for id_ in ids], recalled=True)
        except StoreUnavailableError:
            self._next_claim_at = self._loop.time() + 0.1
            self._stopping = self._loop.time() - self._renewed_at > LEASE_MS / 1000
            return
        self._sleep_after(claims, started=started)

    def _sleep_after(self, claims: Claims, *, started: float) -> None:
        due_s = RENEW_S if claims.next_due_s is None else min(RENEW_S, claims.next_due_s)
        more = len(claims.claimed) == CLAIMS or self._parking.recalls()
        self._next_claim_at = 0.0 if more else started + due_s
        if self._held or self._parking or (claims.next_due_s is not None and claims.next_due_s < AWAKE_S):
            self._busy_at = self._loop.time()
        elif self._loop.time() - self._busy_at > LINGER_S:
            self._stopping = True

    def _parked(self, parked: list[tuple[str, str]]) -> None:
        self._parking.parked(parked)
        self._held.difference_update(id_ for _, id_ in parked)

    async def _offer_all(self, ids: list[str], *, recalled: bool = False) -> None:
        """Begin what may begin; the others wait here, or are parked where many wait already."""
        fresh = [id_ for id_ in ids if id_ not in self._held]
        addressees = await self._relay.deliveries.addressees(fresh)
        for id_ in fresh:
            self._held.add(id_)
            delivery = self._delivery(id_, *addressees.get(id_, ("", "")))
            place = self._desk.offer(delivery)
            if place is None:
                continue
            if self._parking.takes(place, recalled=recalled):
                self._parking.park(id_, place)
            else:
                self._desk.wait(delivery, place)

    def _delivery(self, id_: str, client: str, callback_url: str) -> Delivery:
        """Say what the delivery needs room for; one without a record is let through, and left then."""
        origin = _ORIGIN.match(callback_url)
        target = parse(origin[0], self._relay.destinations) if origin else None
        return Delivery(id_, target.origin if isinstance(target, Target) else "", client, self._account)

    def _begin(self, delivery: Delivery) -> None:
        attempt = self._loop.create_task(self._attempt(delivery, self._loop.time()))
        self._attempts.add(attempt)
        attempt.add_done_callback(lambda attempt: self._end(delivery, attempt))

    async def _attempt(self, delivery: Delivery, begun_at: float) -> Tried | None:
        self._desk.started(delivery, late_s=self._loop.time() - begun_at)
        log.bind(registration=delivery.id)
        try:
            return await self._try(delivery.id)
        except FencedError:
            self.stop()
        except StoreUnavailableError:
            pass  # its claim lapses
        except Exception:
            logger.exception("delivery_failed", registration=delivery.id)
        finally:
            await self._care.end(delivery.id)
        return None

    async def _try(self, id_: str) -> Tried | None:
        """Deliver it, or put off what has to rest and what cannot be read."""
        rest_s = self._care.rest_s(id_)
        if rest_s <= 0:
            await self._care.begin(id_)
            try:
                return await deliver(self._relay, self.fence, id_)
            except UnreadableError:
                rest_s = UNREADABLE_REST_S
        await self._put_off(id_, rest_s)
        return None

    async def _put_off(self, id_: str, rest_s: float) -> None:
        """Claim it again after its rest: left to lapse, each of several claims would last in vain."""
        write = Write(self.fence)
        write.due(self._account, id_, delay_s=rest_s)
        await self._relay.store.commit(write)

    def _end(self, delivery: Delivery, attempt: Attempt) -> None:
        self._attempts.discard(attempt)
        self._held.discard(delivery.id)
        tried = None if attempt.cancelled() else attempt.result()
        reply, due_at = (tried.reply, tried.registration.due_at) if tried else (None, None)
        self._desk.ended(delivery, reply, pause_s=self._from_now(reply.retry_at if reply else None))
        if self._parking.short(delivery.places):
            self.stir()
        due_s = self._from_now(due_at)
        if due_s is not None:
            self._next_claim_at = min(self._next_claim_at, self._loop.time() + max(0.0, due_s))
            self._stirring.stir()

    def _from_now(self, at: float | None) -> float | None:
        return None if at is None else at - self._relay.clock()
