"""What tries to reach inside: every way to write an address that no callback may go to, and canaries that listen there.

`raid` has the callback client call them all, `flips` calls a name whose meaning changes all the time.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random

from relay.clients.callback import CallbackClient
from relay.clients.guard import Resolver
from relay.domain.delivery import Outcome, Reply
from relay.domain.destination import DestinationPolicy
from tests.support.nameserver import nameserver

LOOPBACK = ("127.0.0.1", "127.255.255.254", "0.0.0.0", *(f"127.{n}.{n * 5}.{n * 5 + 1}" for n in range(1, 48)))  # noqa: S104 - not to bind
PUBLIC = "8.8.8.8"
BODY = b"{}"
OPEN, CLOSED = "127.0.0.2", "127.0.0.1"  # a network that the operator opened, and one that he did not


def embedded(address: str) -> dict[str, IPv6Address]:
    """Return the IPv6 addresses that somebody on the way may take for an IPv4 address, by how it is put in."""
    number = int(IPv4Address(address))
    return {
        "mapped": IPv6Address(0xFFFF << 32 | number),
        "compatible": IPv6Address(number),
        "translated": IPv6Address(0xFFFF << 48 | number),
        "nat64": IPv6Address(int(IPv6Address("64:ff9b::")) | number),
        "local nat64": IPv6Address(int(IPv6Address("64:ff9b:1::")) | number),
        "6to4": IPv6Address(0x2002 << 112 | number << 80),
        "teredo": IPv6Address(int(IPv6Address("2001::")) | (number ^ 0xFFFFFFFF)),
        "teredo server": IPv6Address(int(IPv6Address("2001::")) | number << 64),
        "isatap": IPv6Address(int(IPv6Address("fe80::5efe:0:0")) | number),
        "site local": IPv6Address(int(IPv6Address("fec0::")) | number),
        "unique local": IPv6Address(int(IPv6Address("fd00::")) | number),
    }


def spelled(address: str) -> dict[str, str]:
    """Return hosts that some parser reads as this IPv4 address, by how it is spelled."""
    number, (first, second, third, fourth) = int(IPv4Address(address)), IPv4Address(address).packed
    wide = address.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
    ringed = address.translate({ord(digit): 0x245F + int(digit) for digit in "123456789"})
    return {
        "plain": address,
        "root dot": f"{address}.",
        "decimal": str(number),
        "hexadecimal": hex(number),
        "capital hexadecimal": f"0X{number:X}",
        "long hexadecimal": f"0x{number:020x}",
        "octal": f"0{number:o}",
        "overflowing": str(number + 2**32),
        "two parts": f"{first}.{number & 0xFFFFFF}",
        "three parts": f"{first}.{second}.{number & 0xFFFF}",
        "hexadecimal parts": f"{first:#x}.{second:#x}.{third:#x}.{fourth:#x}",
        "octal parts": f"0{first:o}.0{second:o}.0{third:o}.0{fourth:o}",
        "mixed parts": f"{first:#x}.{second}.0{third:o}.{fourth}",
        "padded parts": f"0{first:02}.0{second:02}.0{third:02}.0{fourth:02}",
        "overflowing parts": f"{first + 256}.{second}.{third}.{fourth}",
        "five parts": f"{address}.0",
        "wide digits": wide,
        "ringed digits": ringed,
        "ideographic stops": address.replace(".", "。"),
        "half-width stops": address.replace(".", "｡"),
        "encoded digits": f"%{ord(address[0]):02x}{address[1:]}",
        "encoded dots": address.replace(".", "%2e"),
        "doubly encoded": address.replace(".", "%252e"),
        "soft hyphen": f"{address}\u00ad",
        "zero width": address.replace(".", "\u200b."),
        "in brackets": f"[{address}]",
        "future literal": f"[v1.{address}]",
        **{f"{name} address": f"[{put_in}]" for name, put_in in embedded(address).items()},
        "mapped, dotted": f"[::ffff:{address}]",
        "mapped, in full": f"[{IPv6Address(0xFFFF << 32 | number).exploded}]",
        "mapped, in capitals": f"[::FFFF:{number >> 16:X}:{number & 0xFFFF:X}]",
        "mapped, with a zone": f"[::ffff:{address}%25lo]",
        "mapped, with a bare zone": f"[::ffff:{address}%lo]",
        "mapped, no brackets": f"::ffff:{address}",
        "mapped, cut": f"[::ffff:{address}",
    }


def urls(address: str, port: int) -> dict[str, str]:
    """Return callback URLs that try to reach this address, by their form. Names are `<how>.<its groups>.example`."""
    if ":" in address:
        return _urls_of_ipv6(address, port)
    name = f"{address.replace('.', '-')}.example"
    here = f"{address}:{port}"
    return {
        **{form: f"https://{host}:{port}/" for form, host in spelled(address).items()},
        "user": f"https://receiver.example@{here}/",
        "user and password": f"https://receiver.example:443@{here}/",
        "two at signs": f"https://a@{here}@receiver.example/",
        "backslash": f"https://receiver.example:{port}\\@{here}/",
        "backslashes": f"https:\\\\{here}\\",
        "fragment": f"https://{here}#@receiver.example/",
        "no slashes": f"https:{here}/",
        "three slashes": f"https:///{here}/",
        "leading space": f" https://{here}/",
        "tab": f"https://{address[:2]}\t{address[2:]}:{port}/",
        "line break": f"https://{here}\r\n/",
        "null": f"https://{here}\x00.receiver.example/",
        "named": f"https://plain.{name}:{port}/",
        "named in capitals": f"https://PLAIN.{name.upper()}:{port}/",
        "named with an underscore": f"https://_plain.{name}:{port}/",
        "named last of two": f"https://last.{name}:{port}/",
        "named first of two": f"https://first.{name}:{port}/",
        **{f"named {kind}": f"https://{kind.replace(' ', '-')}.{name}:{port}/" for kind in embedded(address)},
    }


def _urls_of_ipv6(address: str, port: int) -> dict[str, str]:
    full = IPv6Address(address).exploded
    name = f"{full.replace(':', '-')}.example:{port}/"
    hosts = {
        "plain": f"[{address}]",
        "in full": f"[{full}]",
        "in capitals": f"[{full.upper()}]",
        "ending dotted": f"[{full[:30]}{IPv4Address(IPv6Address(address).packed[12:])}]",
        "with a zone": f"[{address}%25lo]",
        "no brackets": full,
    }
    return {
        **{form: f"https://{host}:{port}/" for form, host in hosts.items()},
        **{f"named {how}": f"https://{how}.{name}" for how in ("plain", "last", "first")},
    }


def meaning(name: str) -> list[str]:
    """Return what a name of `urls` resolves to."""
    kind, _, rest = name.lower().partition(".")
    groups = rest.removesuffix(".example").split("-")
    address = ".".join(groups) if len(groups) == 4 else str(IPv6Address(":".join(groups)))
    known = {"plain": [address], "_plain": [address], "last": [PUBLIC, address], "first": [address, PUBLIC]}
    return known.get(kind) or [str(embedded(address)[kind.replace("-", " ")])]


@dataclass
class Canary:
    """Listens at one port of every address of this machine; `reached` are the addresses at which somebody connected."""

    port: int
    reached: list[str] = field(default_factory=list)


@asynccontextmanager
async def canary() -> AsyncIterator[Canary]:
    """Listen while the block runs; a callback with `BODY` is taken."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1_024) as listening:
        made = Canary(listening.getsockname()[1])

        async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made.reached.append(writer.get_extra_info("sockname")[0].removeprefix("::ffff:"))
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readuntil(BODY)
                writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(note, sock=listening):
            yield made


@dataclass(frozen=True)
class Raid:
    """How many URLs were called, in how many forms; each that was not refused; what the canary saw."""

    calls: int
    forms: int
    admitted: dict[str, str]
    reached: list[str]


async def raid(addresses: Sequence[str]) -> Raid:
    """Have the callback client call every address in every form, under a strict policy and a lax one."""
    replies: dict[tuple[str, str, str], Reply] = {}
    few = asyncio.Semaphore(8)  # so that no question to the name server is dropped
    async with canary() as listening, nameserver(meaning) as dns, aclosing(Resolver([dns.address])) as resolver:
        ports = frozenset({listening.port})
        lax = DestinationPolicy(allow=(ip_network("10.99.0.0/16"),), ports=ports)  # takes http and any port by sight

        async def call_all(client: CallbackClient, policy: str, address: str) -> None:
            async with few:
                for form, url in urls(address, listening.port).items():
                    replies[policy, address, form] = await client.post(url, BODY, {}, now=0)

        for name, policy in (("strict", DestinationPolicy(ports=ports)), ("lax", lax)):
            async with aclosing(CallbackClient(policy, deadline_s=5, resolve=resolver)) as client:
                await asyncio.gather(*(call_all(client, name, address) for address in addresses))
    admitted = {
        f"{form} of {address}, {policy}": f"{reply.outcome} {reply.detail}"
        for (policy, address, form), reply in replies.items()
        if reply.outcome is not Outcome.REFUSED
    }
    return Raid(len(replies), len({form for _, _, form in replies}), admitted, listening.reached)


@dataclass(frozen=True)
class Flips:
    """What a name meant when it was asked for, how the attempts ended, and where somebody connected."""

    meanings: list[list[str]]
    outcomes: list[Outcome]
    reached: list[str]


async def flips(times: int, dice: Random) -> Flips:
    """Call a name `times` times, while each answer about it means the opened address, the closed one, or both."""
    meanings: list[list[str]] = []

    def meaning_now(_: str) -> list[str]:
        meanings.append(dice.choice([[OPEN], [CLOSED], [OPEN, CLOSED], [CLOSED, OPEN]]))
        return meanings[-1]

    policy = DestinationPolicy(allow=(ip_network(OPEN), ip_network("192.168.0.0/16")))  # not loopback alone: by name
    async with canary() as listening, nameserver(meaning_now) as dns, aclosing(Resolver([dns.address])) as resolver:
        async with aclosing(CallbackClient(policy, resolve=resolver)) as client:
            url = f"http://flip.example:{listening.port}/"
            outcomes = [(await client.post(url, BODY, {}, now=0)).outcome for _ in range(times)]
        asked = [meaning for meaning, (_, kind) in zip(meanings, dns.questions, strict=True) if kind == "A"]
    return Flips(asked, outcomes, listening.reached)
