"""A small HTTP/1.1 server on asyncio alone: the stubs stand on it, so that they share nothing with the relay."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """A request: its path, the first value of each query field, its headers (lower case) and its body."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        headers = {"content-type": self.content_type, "content-length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} -", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + self.body


Respond = Callable[[Request], Awaitable[Answer | None]]


@asynccontextmanager
async def serving(respond: Respond) -> AsyncIterator[int]:
    """Serve on a free port of loopback while the block runs, and give the port. None for an answer hangs up."""
    open_: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while (answer := await respond(await _read(reader))) is not None:
                writer.write(answer.encode())
                await writer.drain()
        open_.discard(writer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1_024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(open_):
            writer.transport.abort()
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    target = urlsplit(head[0].split(" ")[1])
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    return Request(target.path, query, headers, await reader.readexactly(int(headers.get("content-length", 0))))
