"""Queue: arq's queue of the lanes that want a worker, read by this worker while it has room."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from arq.connections import ArqRedis
from arq.worker import Worker as ArqWorker
from arq.worker import func
from redis.asyncio import ConnectionPool

from relay.store import keys
from relay.store.keys import LaneName

ASK_S = 1.0  # how often it is read when nothing wakes it
AGAIN_S = 0.005
PICK_UP_S = 3  # a worker that dies between pick-up and lease costs so long
KEPT_S = 3_600  # if nobody has room
FIRST = datetime.fromtimestamp(0.001, UTC)  # the place of all, since the clocks of workers differ; arq takes 0 for none


class Taker(Protocol):
    """Who takes the lanes."""

    @property
    def holder(self) -> str: ...

    @property
    def has_room(self) -> bool:
        """Whether it may take one lane more."""

    async def take(self, name: LaneName) -> None:
        """Take this one, if it is still to be had."""


class Queue(ArqWorker):
    """arq's worker, read when woken instead of all the time."""

    def __init__(self, taker: Taker, pool: ConnectionPool) -> None:
        super().__init__(
            functions=[func(_take_lane, name="lane", timeout=5, max_tries=1_000_000_000, keep_result=0)],
            queue_name=keys.QUEUE,
            redis_pool=ArqRedis(
                pool, job_serializer=orjson.dumps, job_deserializer=_loads, default_queue_name=keys.QUEUE
            ),
            ctx={"taker": taker},
            max_jobs=100,
            handle_signals=False,
            health_check_interval=60,
            health_check_key=f"{keys.QUEUE}:health:{taker.holder}",
            job_serializer=orjson.dumps,
            job_deserializer=_loads,
            log_results=False,
        )
        self.in_progress_timeout_s = PICK_UP_S
        self._taker = taker
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Read it now: there may be something in it."""
        self._woken.set()

    async def main(self) -> None:
        """Read it while the taker has room. Raises what the store raises; `main` may be begun again."""
        while True:
            with suppress(TimeoutError):  # `wait_for` may lose a cancellation that comes with the event
                async with asyncio.timeout(ASK_S):
                    await self._woken.wait()
            self._woken.clear()
            if self._taker.has_room:
                await self._poll_iteration()
                if self.tasks:
                    self._woken.set()  # there may be more than one reading holds
                    await asyncio.sleep(AGAIN_S)

    async def put(self, lane: LaneName) -> None:
        """Put the lane in, unless it is there."""
        await self.pool.enqueue_job("lane", str(lane), _job_id=f"lane:{lane}", _defer_until=FIRST, _expires=KEPT_S)


def _loads(value: bytes) -> Any:
    return orjson.loads(value)


async def _take_lane(ctx: dict[Any, Any], lane: str) -> None:
    taker: Taker = ctx["taker"]
    await taker.take(LaneName.parse(lane))
