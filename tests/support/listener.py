"""Listeners on loopback that answer as a test says, down to the byte, and certificates for them."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Listener:
    """A listener on loopback: its port, how many connected, and what each request said."""

    port: int = 0
    connects: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=b"


@asynccontextmanager
async def listener(answer: bytes | Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """Serve `answer` to every request, or let it act on the connection after the request."""
    listening, tasks, writers = Listener(), set[asyncio.Task[None]](), list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listening.connects += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                listening.requests.append(await _read_request(reader))
                if callable(answer):
                    await answer(reader, writer)
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    listening.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listening
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()  # what is still to be sent has nobody to take it
        await asyncio.sleep(0)  # the loop closes aborted transports in its next round


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = (line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head + await reader.readexactly(int(next(lengths, b":0").split(b":")[1]))


def status(line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = (f"HTTP/1.1 {line}", f"content-length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def flood(first: bytes, then: bytes) -> Answer:
    """Answer with this, and then that for ever."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # cheap for the test
        writer.write(first)
        while True:
            writer.write(then * 100)
            await writer.drain()

    return answer


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for one name: what a server shows, and what trusts it."""

    server: ssl.SSLContext
    trusting: ssl.SSLContext


def certificate(name: str, folder: Path) -> Certificate:
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "pair.pem").write_bytes(pem + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "pair.pem")
    return Certificate(server, ssl.create_default_context(cadata=pem.decode()))
