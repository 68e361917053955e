"""Receivers that mean harm: what each does to whoever calls it, and what an attempt there is called."""

import asyncio
import gzip
import socket
import struct
from contextlib import AsyncExitStack

from relay.domain.delivery import Outcome
from tests.support.attempts import Told, attempts
from tests.support.listener import Answer, flood, listener, status


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def drip_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 ")
    await drip_for_ever(writer)


async def drip_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    await drip_for_ever(writer)


async def drip_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"O")
        await writer.drain()
        await asyncio.sleep(0.01)  # a slow receiver is what this is


async def early_close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 ")


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    linger_for_nothing = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)


async def reset_after_200(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nabc")
    await writer.drain()
    await reset(reader, writer)


BOMB = gzip.compress(bytes(50_000_000))

HOSTILE: dict[str, tuple[bytes | Answer, Outcome]] = {
    "silence": (say_nothing, Outcome.TIMEOUT),
    "a dripped head": (drip_head, Outcome.TIMEOUT),
    "a dripped body": (drip_body, Outcome.DELIVERED),
    "endless 1xx": (flood(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), Outcome.PROTOCOL_ERROR),
    "endless headers": (flood(b"HTTP/1.1 200 OK\r\n", b"x-flood: 1\r\n"), Outcome.PROTOCOL_ERROR),
    "one endless header": (flood(b"HTTP/1.1 200 OK\r\nx-long: ", b"x" * 1_000), Outcome.PROTOCOL_ERROR),
    "an endless body": (flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000), Outcome.DELIVERED),
    "endless chunks": (
        flood(b"HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        Outcome.SERVER_ERROR,
    ),
    "a gzip bomb": (status("200 OK", "content-encoding: gzip", body=BOMB), Outcome.DELIVERED),
    "an early close": (early_close, Outcome.PROTOCOL_ERROR),
    "a reset": (reset, Outcome.CONNECT_ERROR),
    "a reset after 200": (reset_after_200, Outcome.DELIVERED),
    "another protocol": (flood(b"", b"SSH-2.0-OpenSSH_9.2\r\n"), Outcome.PROTOCOL_ERROR),
    "junk": (b"\x00\xff garbage \r\n\r\n", Outcome.PROTOCOL_ERROR),
}


async def attempts_at_hostile(each: int, *, deadline_s: float) -> tuple[list[tuple[str, str]], Told]:
    """Serve `each` receivers of every kind, and call all at once; return (kind, outcome) pairs, and the rest."""
    kinds = [kind for kind in HOSTILE for _ in range(each)]
    async with AsyncExitStack() as stack:
        urls = [(await stack.enter_async_context(listener(HOSTILE[kind][0]))).url for kind in [*HOSTILE, *kinds]]
        told = await attempts(urls[len(HOSTILE) :], warm_up=urls[: len(HOSTILE)], deadline_s=deadline_s)
    return list(zip(kinds, told.outcomes, strict=True)), told
