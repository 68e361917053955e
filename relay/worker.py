"""The worker: arq hands out lanes, this process holds its share of them.

An arq job says "this lane wants a worker" and is over as soon as one has taken it: the lane's lease in our own
records is the truth. So a lost, doubled or expired job costs a second, never a registration; a sweep asks again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from relay import crash, log, metrics
from relay.context import Relay
from relay.crash import Point
from relay.domain.errors import StoreUnavailableError
from relay.lanes.delivery_lane import DeliveryLane
from relay.lanes.desk import Desk
from relay.lanes.poll_lane import PollLane
from relay.lanes.surviving import surviving
from relay.queue import Queue
from relay.services.tidy import tidy
from relay.store import keys
from relay.store.dialing import connection_pool
from relay.store.keys import LaneKind, LaneName
from relay.store.write import Fence

SWEEP_S = 3.0
TIDY_S = 60.0
ALIVE_S = 10.0
STOP_S = 5.0
RETRY_S = 0.5
LISTEN_S = 3.0  # of silence, then the channel is asked whether it is still there
TELL_S = 10.0

Lane = PollLane | DeliveryLane

logger = log.get(__name__)


class Worker:
    """Holds lanes: takes them from arq's queue up to its fair share, and hands back what is above it."""

    def __init__(self, relay: Relay) -> None:
        self.holder = relay.holder
        self._relay = relay
        self._desk = Desk(relay.circuits)
        self._lanes: dict[LaneName, Lane] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._share = 1
        self._stopping = False
        settings = relay.settings.redis_url
        self._pool = connection_pool(settings.get_secret_value() if settings else "")
        self._queue = Queue(self, self._pool)

    @property
    def has_room(self) -> bool:
        """Whether this worker may take one lane more."""
        return not self._stopping and len(self._lanes) < self._share

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then hand every lane back. Returns when that is done."""
        queue = asyncio.create_task(self._for_ever(self._queue.main))
        duties = [asyncio.create_task(self._for_ever(duty)) for duty in (self._listen, self._sweep, self._tidy)]
        try:
            await stop.wait()
        finally:
            self._stopping = True
            await _end(*duties)  # a census taken from now on would say that this worker is alive
            await self._hand_back_all()
            await _end(queue, *self._queue.tasks.values())
            await self._pool.aclose()

    async def take(self, name: LaneName) -> None:
        """Acquire the lane and work it, unless somebody else holds it or this worker has enough."""
        if name in self._lanes or not self.has_room or (fence := await self._relay.lanes.acquire(name)) is None:
            return
        crash.reached(Point.LANE_TAKEN, str(name))
        async with surviving(self._relay, fence):
            self._lanes[name] = lane = await self._lane(fence)
            self._running.add(running := asyncio.create_task(self._work(lane)))
            running.add_done_callback(self._running.discard)

    async def _lane(self, fence: Fence) -> Lane:
        if fence.lane.kind is LaneKind.DELIVERY:
            return DeliveryLane(self._relay, fence, self._desk)
        metrics.BY_ACCOUNT.know(fence.lane.account)
        return PollLane(self._relay, fence, await self._relay.account(fence.lane.account))

    async def _work(self, lane: Lane) -> None:
        name = lane.fence.lane
        log.bind(lane=str(name))
        try:
            with metrics.LANES.labels(name.kind).track_inprogress():
                async with surviving(self._relay, lane.fence):
                    await lane.run()
        finally:
            del self._lanes[name]

    # ------------------------------------------------------------------ duties

    async def _listen(self) -> None:
        """Pass on what the store tells: to the lane if it is held here, else to arq's queue."""
        async with self._queue.pool.pubsub() as channel:
            await channel.subscribe(keys.STIR, keys.WANT)
            while True:
                message = await channel.get_message(timeout=LISTEN_S) or await _echo(channel)
                if message["type"] == "message":
                    name = LaneName.parse(message["data"].decode())
                    if name in self._lanes:
                        self._lanes[name].stir()
                    elif message["channel"] == keys.WANT.encode():
                        await self._wanted(name)

    async def _wanted(self, name: LaneName) -> None:
        if not self.has_room:
            await self._take_census()
        if self.has_room:
            await self._queue.put(name)
            self._queue.wake()

    async def _sweep(self) -> None:
        """Put back what fell out of arq's queue: lanes that want a holder and have none."""
        while True:
            await self._take_census()
            due = await self._relay.lanes.due()
            for name in due:
                if name not in self._lanes:
                    await self._queue.put(name)
            if due:
                self._queue.wake()
            next_due_s = await self._relay.lanes.next_due_s()
            await asyncio.sleep(SWEEP_S if next_due_s is None else min(SWEEP_S, max(0.2, next_due_s + 0.05)))

    async def _tidy(self) -> None:
        while True:
            await tidy(self._relay.index)
            await asyncio.sleep(TIDY_S)

    async def _take_census(self) -> None:
        """Learn this worker's fair share, and hand back lanes above it."""
        self._share = max(1, await self._relay.lanes.share(alive_s=ALIVE_S))
        surplus = len(self._lanes) - self._share
        if surplus > self._share // 10:
            for lane in list(self._lanes.values())[:surplus]:
                lane.stop()

    async def _for_ever(self, duty: Callable[[], Awaitable[None]]) -> None:
        told_at = -inf
        while True:
            try:
                await duty()
            except (RedisError, OSError, StoreUnavailableError) as error:
                _count(error)
                if time.monotonic() - told_at > TELL_S:
                    told_at = time.monotonic()
                    logger.warning("store_unreachable", duty=duty.__name__, error=type(error).__name__)
            except Exception:
                logger.exception("duty_failed", duty=duty.__name__)  # it must not end without a word, nor for good
            await asyncio.sleep(RETRY_S)

    async def _hand_back_all(self) -> None:
        with suppress(StoreUnavailableError):
            await self._relay.lanes.leave()
        for lane in list(self._lanes.values()):
            lane.stop()
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_S)
        await _end(*self._running)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _count(error: Exception) -> None:
    """Count a failed call on arq's own connections: the store counts its own."""
    if not isinstance(error, StoreUnavailableError):
        metrics.STORE_ERRORS.inc()


async def _echo(channel: PubSub) -> dict[str, Any]:
    """Return what a silent channel says next. Raises StoreUnavailableError when nobody is there to say anything."""
    await channel.ping()
    message: dict[str, Any] | None = await channel.get_message(timeout=LISTEN_S)
    if message is None:
        raise StoreUnavailableError("the channel is dead")
    return message
