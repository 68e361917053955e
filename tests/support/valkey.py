"""A Valkey server of the test run's own: what a test asks it directly, past the relay."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from relay.embedded import EmbeddedValkey


@dataclass
class Valkey:
    """A running server: its URL, and what its environment has that this process's has not."""

    server: EmbeddedValkey
    environment: dict[str, str]
    url: str = ""

    @property
    def data_dir(self) -> Path:
        return self.server.data_dir

    async def ask(self, *command: Any) -> Any:
        """Send one command on a connection of its own, and return what redis-py makes of the answer."""
        async with Redis.from_url(self.url) as redis:
            return await redis.execute_command(*command)

    async def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        os.kill(self.server.pid, signal.SIGKILL)
        await self.ended()

    async def ended(self) -> None:
        """Wait until it has ended, by whatever."""
        await self.server.wait()
        await self.server.stop()

    async def start(self) -> None:
        """Start it; when it has ended, on the same data and the same socket as before."""
        with _environment(self.environment):
            url = await self.server.start()
        assert self.url in {url, ""}
        self.url = url

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing."""
        os.kill(self.server.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.server.pid, signal.SIGCONT)


@contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    """Let children that are started meanwhile, unless they are given an environment, have these variables too."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@asynccontextmanager
async def valkey_in(
    data_dir: Path, environment: dict[str, str] | None = None, **extra_config: str
) -> AsyncIterator[Valkey]:
    """Run a server while the block does; `extra_config` in the words of valkey.conf, with `_` for `-`."""
    server = EmbeddedValkey(data_dir, {name.replace("_", "-"): value for name, value in extra_config.items()})
    valkey = Valkey(server, environment or {})
    await valkey.start()
    try:
        yield valkey
    finally:
        await server.stop()
