"""Knocks: who waits for something to happen to a client's registrations hears of it, without asking the store.

One subscription serves a whole process. It says only that there is something to look at: whoever hears a knock looks
for himself, and after a break of the subscription everybody does, so that nothing is missed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisError

from relay import log, metrics
from relay.store import keys
from relay.store.store import Store

PING_S = 1.0  # a connection on which nothing comes is given up after three (store/dialing.py)
SILENCE_S = 5.0  # without even the answer to a ping
RETRY_S = 0.5
_ANYTHING = ""

logger = log.get(__name__)


class Knock:
    """One listener's ear."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def sound(self) -> None:
        self._event.set()

    async def heard(self, within_s: float) -> bool:
        """Return once it has knocked, True, or once the time is out, False. Sometimes it knocks for nothing."""
        try:
            async with asyncio.timeout(within_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Knocks:
    """The process's subscription, as long as `run` runs. `ended` is set once nobody shall wait any more."""

    def __init__(self, store: Store) -> None:
        self.ended = False
        self._store = store
        self._ears: defaultdict[str, defaultdict[str, set[Knock]]] = defaultdict(lambda: defaultdict(set))
        self._changed = asyncio.Event()

    @contextmanager
    def listening(self, client: str | None, registration_id: str = _ANYTHING) -> Iterator[Knock]:
        """Give an ear for what happens to this registration, or to any of the client's; None is everybody."""
        channel, ear = keys.events(client), Knock()
        if channel not in self._ears:
            self._changed.set()
        self._ears[channel][registration_id].add(ear)
        try:
            yield ear
        finally:
            self._ears[channel][registration_id].discard(ear)
            if not self._ears[channel][registration_id]:
                del self._ears[channel][registration_id]
            if not self._ears[channel]:
                del self._ears[channel]
                self._changed.set()

    def end(self) -> None:
        """Let everybody who waits go."""
        self.ended = True
        self._sound_all(*self._ears)

    async def run(self) -> None:
        """Hold the subscription for ever, whatever becomes of the store."""
        while True:
            try:
                await self._hold()
            except* (RedisError, OSError, TimeoutError) as errors:
                metrics.STORE_ERRORS.inc()
                logger.info("subscription_lost", error=type(errors.exceptions[0]).__name__)
            await asyncio.sleep(RETRY_S)

    async def _hold(self) -> None:
        async with self._store.subscription() as subscription, asyncio.TaskGroup() as both:
            await subscription.subscribe(keys.TOLD)  # nobody speaks there: a connection must be subscribed to something
            both.create_task(self._read(subscription))
            both.create_task(self._follow(subscription))

    async def _read(self, subscription: Any) -> None:
        while True:
            async with asyncio.timeout(SILENCE_S):
                message = await subscription.get_message(timeout=None)
            if message is None or message["type"] not in {"subscribe", "message"}:
                continue
            channel, id_ = message["channel"].decode(), message["data"]
            if message["type"] == "subscribe":
                self._sound_all(channel)
            elif channel in self._ears:
                for listeners in (self._ears[channel].get(id_.decode()), self._ears[channel].get(_ANYTHING)):
                    for ear in listeners or ():
                        ear.sound()

    async def _follow(self, subscription: Any) -> None:
        """Subscribe to what somebody listens to, and to nothing else; ask now and then whether the store is there."""
        subscribed: set[str] = set()
        while True:
            self._changed.clear()
            wanted = set(self._ears)
            if new := wanted - subscribed:
                await subscription.subscribe(*new)
            if gone := subscribed - wanted:
                await subscription.unsubscribe(*gone)
            subscribed = wanted
            try:
                async with asyncio.timeout(PING_S):
                    await self._changed.wait()
            except TimeoutError:
                await subscription.ping()

    def _sound_all(self, *channels: str) -> None:
        for channel in channels:
            for ears in self._ears[channel].values() if channel in self._ears else ():
                for ear in ears:
                    ear.sound()
