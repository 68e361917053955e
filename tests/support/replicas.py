"""A primary and its replica, which can be promoted, and a Sentinel that would do so by itself."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from relay.embedded import find_server
from tests.support.clock import wait_until
from tests.support.valkey import Valkey, valkey_in

NAME = "the-primary"


@dataclass
class Pair:
    """Two servers on TCP; `primary` and `replica` say which was started as which."""

    primary: Valkey
    replica: Valkey
    ports: tuple[int, int]

    @property
    def urls(self) -> tuple[str, str]:
        """Where the one and the other are reached."""
        first, second = self.ports
        return f"redis://127.0.0.1:{first}", f"redis://127.0.0.1:{second}"

    async def in_sync(self) -> bool:
        """Whether the replica is connected and has everything."""
        told = await self.primary.ask("INFO", "replication")
        first = told.get("slave0", {})
        return first.get("state") == "online" and bool(first["offset"] == told["master_repl_offset"])

    async def promote(self) -> None:
        """Make the replica the primary, and the primary its replica."""
        await self.replica.ask("REPLICAOF", "NO", "ONE")
        await self.primary.ask("REPLICAOF", "127.0.0.1", self.ports[1])


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def pair_in(folder: Path) -> AsyncIterator[Pair]:
    """Run a primary and a replica that is in sync while the block does."""
    ports = free_port(), free_port()
    async with AsyncExitStack() as stack:

        async def server(name: str, port: int, **config: str) -> Valkey:
            config |= {"port": str(port), "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"}
            made = valkey_in(folder / name, None, **config)
            return await stack.enter_async_context(made)

        primary = await server("primary", ports[0])
        replica = await server("replica", ports[1], replicaof=f"127.0.0.1 {ports[0]}")
        pair = Pair(primary, replica, ports)
        await wait_until(pair.in_sync)
        yield pair


@asynccontextmanager
async def sentinel_of(pair: Pair, folder: Path) -> AsyncIterator[str]:
    """Run a Sentinel that watches the pair and fails over half a second after the primary's end; yield its address."""
    port, config = free_port(), folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {NAME} 127.0.0.1 {pair.ports[0]} 1\n"
        f"sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 3000\n"
    )
    sentinel = await asyncio.create_subprocess_exec(
        find_server(), config, "--sentinel", stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_until(lambda: _knows_the_replica(port))
        yield f"127.0.0.1:{port}"
    finally:
        sentinel.terminate()
        await sentinel.wait()


async def _knows_the_replica(port: int) -> bool:
    async with Redis(port=port) as redis:
        try:
            return bool(await redis.sentinel_slaves(NAME))  # type: ignore[no-untyped-call] # the library's
        except RedisError:
            return False
