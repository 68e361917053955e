"""A DNS server on loopback that answers as a test says, and notes every question."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

from dnslib import AAAA, QTYPE, RR, A, DNSRecord

Addresses = Callable[[str], list[str] | None]


@dataclass
class Nameserver:
    """`addresses` gives a name's addresses, asked anew for each question, or None: no answer ever comes.

    `questions` are (name, type), in order.
    """

    addresses: Addresses
    address: str = ""
    questions: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, query: bytes) -> bytes | None:
        """Return the answer to one query, both as they go over the wire, if there is to be one."""
        asked = DNSRecord.parse(query)
        name, kind = str(asked.q.qname).removesuffix("."), QTYPE[asked.q.qtype]
        self.questions.append((name, kind))
        addresses = self.addresses(name)
        if addresses is None:
            return None
        answer = asked.reply()
        for address in map(ip_address, addresses):
            if kind == _KINDS[type(address)]:
                answer.add_answer(RR(asked.q.qname, asked.q.qtype, ttl=0, rdata=_record(address)))
        packed: bytes = answer.pack()
        return packed


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, serving: Nameserver) -> None:
        self._serving = serving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._serving.answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)


_KINDS: dict[type, str] = {IPv4Address: "A", IPv6Address: "AAAA"}


def _record(address: IPv4Address | IPv6Address) -> A | AAAA:
    return A(str(address)) if isinstance(address, IPv4Address) else AAAA(str(address))


@asynccontextmanager
async def nameserver(addresses: Addresses) -> AsyncIterator[Nameserver]:
    """Serve DNS while the block runs; `addresses` may raise nothing."""
    serving, loop = Nameserver(addresses), asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(serving), local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    serving.address = f"{host}:{port}"
    try:
        yield serving
    finally:
        transport.close()
