"""DeliveryLane: the due deliveries of one account's registrations, as long as this worker holds them."""

import asyncio
import time

from relay import log
from relay.context import Relay
from relay.domain.errors import FencedError, StoreUnavailableError
from relay.lanes.care import Care
from relay.lanes.stirring import Stirring
from relay.services.condemn import condemn_delivery
from relay.services.deliver import deliver
from relay.store.lanes import LEASE_MS
from relay.store.write import Fence

IN_FLIGHT = 128
RENEW_S = 1.0
LINGER_S = 2.0
AWAKE_S = 10.0  # a lane whose next delivery is further away is handed back until then
DRAIN_S = 0.8

logger = log.get(__name__)


class DeliveryLane:
    """Claims what is due and tries each callback once. Ends like a PollLane."""

    def __init__(self, relay: Relay, fence: Fence) -> None:
        self.fence = fence
        self._relay = relay
        self._care = Care(relay, fence)
        self._stirring = Stirring()
        self._loop = asyncio.get_running_loop()
        self._attempts: set[asyncio.Task[None]] = set()
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
        try:
            await self._recall()
            while not self._stopping:
                if self._stirred or self._loop.time() >= self._next_claim_at:
                    self._stirred = False  # before the claim: what stirs during it wants another one
                    await self._claim()
                await self._stirring.sleep_until(0.0 if self._stirred else self._next_claim_at)
            if self._attempts:
                await asyncio.wait(self._attempts, timeout=DRAIN_S)
            await self._relay.lanes.release(self.fence)
        except FencedError:
            logger.warning("lane_lost", lane=str(self.fence.lane))
        except StoreUnavailableError:
            logger.warning("lane_not_handed_back", lane=str(self.fence.lane))
        finally:
            for attempt in self._attempts:
                attempt.cancel()
            await asyncio.gather(*self._attempts, return_exceptions=True)

    async def _recall(self) -> None:
        for id_ in await self._care.recall():
            await condemn_delivery(self._relay, self.fence, id_, now=time.time())
            await self._relay.suspects.clear(self.fence, id_)

    async def _claim(self) -> None:
        started = self._loop.time()
        try:
            ids, next_due_s = await self._relay.lanes.claim(self.fence, want=IN_FLIGHT - len(self._attempts))
        except StoreUnavailableError:
            self._next_claim_at = self._loop.time() + 0.1
            self._stopping = self._loop.time() - self._renewed_at > LEASE_MS / 1000
            return
        self._renewed_at = started
        for id_ in ids:
            attempt = self._loop.create_task(self._attempt(id_))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        full = len(self._attempts) >= IN_FLIGHT
        wait_s = RENEW_S if next_due_s is None or full else min(RENEW_S, next_due_s)
        self._next_claim_at = started + wait_s
        self._stop_when_idle(next_due_s)

    def _stop_when_idle(self, next_due_s: float | None) -> None:
        if self._attempts or (next_due_s is not None and next_due_s < AWAKE_S):
            self._busy_at = self._loop.time()
        elif self._loop.time() - self._busy_at > LINGER_S:
            self._stopping = True

    async def _attempt(self, id_: str) -> None:
        was_full = len(self._attempts) >= IN_FLIGHT
        if self._care.rest_s(id_) > 0:
            return  # its claim lapses, and it is claimed again
        try:
            await self._care.begin(id_)
            registration = await deliver(self._relay, self.fence, id_, now=time.time())
        except FencedError:
            self._stopping = True
        except StoreUnavailableError:
            return
        except Exception:
            logger.exception("delivery_failed", registration=id_)
        else:
            self._come_back_for(registration.due_at if registration else None)
        finally:
            await self._care.end(id_)
        if was_full:
            self.stir()

    def _come_back_for(self, due_at: float | None) -> None:
        if due_at is not None:
            self._next_claim_at = min(self._next_claim_at, self._loop.time() + max(0.0, due_at - time.time()))
            self._stirring.stir()
