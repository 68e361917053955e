"""A TCP proxy that stands between two parts and does to their connections what networks do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

CHUNK_BYTES = 65_536

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]


class Line(StrEnum):
    """What becomes of what is sent: it passes; it vanishes, the connections stay; every connection is reset."""

    PASSING = "passing"
    BLACK_HOLE = "black hole"
    CUT = "cut"


@dataclass
class Proxy:
    """Passes on what comes, `delay_s` later. A connection that lost bytes in a black hole is reset when that ends."""

    dial: Dial
    port: int = 0
    delay_s: float = 0.0
    _line: Line = Line.PASSING
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Reset every connection, and each new one."""
        self._line = Line.CUT
        self._reset()

    def black_hole(self) -> None:
        """Keep the connections, take new ones, and let everything vanish."""
        self._line = Line.BLACK_HOLE

    def mend(self) -> None:
        """Pass everything on at once again."""
        if self._line is Line.BLACK_HOLE:
            self._reset()
        self._line, self.delay_s = Line.PASSING, 0.0

    def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._line is Line.PASSING:
                far_reader, far_writer = await self.dial()
                self._open.add(far_writer)
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            elif self._line is Line.BLACK_HOLE:
                await self._pump(reader, writer)
        except OSError:
            pass  # the far side is down, or the connection was reset: both sides are told by a reset below
        finally:
            writer.transport.abort()
            self._open.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self._line is Line.PASSING:
                    writer.write(chunk)
                    await writer.drain()
        writer.transport.abort()
        self._open.discard(writer)


@asynccontextmanager
async def proxying(dial: Dial) -> AsyncIterator[Proxy]:
    """Listen on a free port of loopback while the block runs."""
    proxy = Proxy(dial)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0, backlog=1_024)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()


def to_port(url: str) -> Dial:
    """Dial the port of this URL on loopback."""
    port = int(url.rpartition(":")[2])
    return lambda: asyncio.open_connection("127.0.0.1", port)


def to_socket(url: str) -> Dial:
    """Dial the Unix socket of a `unix://` URL."""
    return lambda: asyncio.open_unix_connection(url.removeprefix("unix://"))
