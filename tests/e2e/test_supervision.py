"""What the processes tell a service manager, as systemd would hear it: datagrams on a socket."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.stand import stand


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.setblocking(False)
        yield manager


async def heard(manager: socket.socket, state: str) -> None:
    """Wait until this state is told; what else is told meanwhile is passed over."""
    async with asyncio.timeout(20):
        while await asyncio.get_running_loop().sock_recv(manager, 100) != state.encode():
            pass


@pytest.mark.parametrize("command", ["api", "worker"])
async def test_a_process_tells_that_it_is_ready_alive_and_stopping(command: str, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    async with listening(path) as manager, stand(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="200000") as site:
        process = await site.start(command)

        await heard(manager, "READY=1")
        await heard(manager, "WATCHDOG=1")
        process.child.send_signal(signal.SIGTERM)
        await heard(manager, "STOPPING=1")
        assert await process.child.wait() == 0
