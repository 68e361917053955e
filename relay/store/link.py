"""Link: one connection to the store that many callers share, a pipeline at a time.

What is asked while a pipeline is under way goes with the next one, so a busy process pays for few round trips and
the server for few fsyncs, and an idle one waits for nobody.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from hiredis import pack_command
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from relay import metrics
from relay.domain.errors import StoreUnavailableError

Word = bytes | str | int | float
Command = tuple[Word, ...]

PIPELINE = 256
TIMEOUT_S = 1.5
_REPLICAS_TIMEOUT_MS = 800
# WAIT waits for what this connection wrote last. A script that found everything written already may have seen what
# another connection wrote a moment ago; something of one's own behind it is waited for together with that.
_BARRIER = ("PUBLISH", "relay:barrier", "")
_READS = frozenset(
    {"GET", "MGET", "HGET", "HMGET", "HGETALL", "SMEMBERS", "ZRANGE", "ZCARD", "ZCOUNT", "TIME", "INFO", "CONFIG"}
)


class Link:
    """A shared connection. `ask` raises StoreUnavailableError when no answer came, RedisError when it was refused.

    With `wait_replicas` every write waits until so many replicas have it too; else it raises StoreUnavailableError.
    """

    def __init__(self, pool: ConnectionPool, *, wait_replicas: int = 0) -> None:
        self.wait_replicas = wait_replicas
        self._pool = pool
        self._asked: deque[tuple[Command, asyncio.Future[Any]]] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def ask(self, *command: Word) -> Any:
        """Send one command and return its answer."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append((command, future))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all())
        return await future

    async def aclose(self) -> None:
        """Stop sending; what was asked and not answered fails."""
        if self._sender is not None:
            self._sender.cancel()
            with suppress(asyncio.CancelledError):
                await self._sender
        self._fail_all(deque(), "the connection was closed")

    async def _send_all(self) -> None:
        batch: deque[tuple[Command, asyncio.Future[Any]]] = deque()
        try:
            async with asyncio.timeout(TIMEOUT_S) as deadline:
                connection = await self._pool.get_connection()
                try:
                    while self._asked:
                        deadline.reschedule(asyncio.get_running_loop().time() + TIMEOUT_S)
                        batch = deque(self._asked.popleft() for _ in range(min(PIPELINE, len(self._asked))))
                        await self._exchange(connection, batch)
                except BaseException:
                    await connection.disconnect(nowait=True)
                    raise
                finally:
                    await self._pool.release(connection)
        except (RedisError, OSError, TimeoutError) as error:
            metrics.STORE_ERRORS.inc(len(batch) + len(self._asked))
            self._fail_all(batch, f"the store did not answer: {type(error).__name__}")
        except BaseException:
            self._fail_all(batch, "the connection was closed")
            raise
        finally:
            self._sender = None

    async def _exchange(self, connection: Any, batch: deque[tuple[Command, asyncio.Future[Any]]]) -> None:
        """Send the batch and settle each of it as its answer comes: writes once the replicas have told, too."""
        packed = [pack_command(command) for command, _ in batch]  # type: ignore[arg-type] # its stub says one word
        waits = self.wait_replicas > 0 and any(_writes(command) for command, _ in batch)
        if waits:
            packed.append(pack_command(_BARRIER))  # type: ignore[arg-type] # likewise
            packed.append(pack_command(("WAIT", self.wait_replicas, _REPLICAS_TIMEOUT_MS)))  # type: ignore[arg-type] # likewise
        await connection.send_packed_command(packed, check_health=False)
        written: list[tuple[asyncio.Future[Any], Any]] = []
        for command, future in batch:
            answer = await _answer(connection)
            if waits and _writes(command):
                written.append((future, answer))
            else:
                _settle(future, answer)
        if waits:
            await _answer(connection)
            replicas = await _answer(connection)
            if isinstance(replicas, Exception) or replicas < self.wait_replicas:
                metrics.STORE_ERRORS.inc(len(written))
                short = StoreUnavailableError(f"{replicas} of {self.wait_replicas} replicas have it")
                written = [(future, short) for future, _ in written]
        for future, answer in written:
            _settle(future, answer)
        batch.clear()

    def _fail_all(self, batch: deque[tuple[Command, asyncio.Future[Any]]], why: str) -> None:
        while batch or self._asked:
            _, future = (batch or self._asked).popleft()
            _settle(future, StoreUnavailableError(why))


async def _answer(connection: Any) -> Any:
    """Return the next answer; an error answer is returned too, as it belongs to one command alone."""
    try:
        return await connection.read_response()
    except RedisError as error:
        if not connection.is_connected:
            raise
        return error


def _writes(command: Command) -> bool:
    """Whether it may write: what is not known as a read is taken for a write."""
    return command[0] not in _READS


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
