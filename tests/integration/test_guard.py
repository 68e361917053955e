"""The guarded transport against real sockets: where it connects, and where nothing ever sees a connect."""

import asyncio
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from relay.clients.callback import CallbackClient
from relay.clients.guard import ANSWER_BYTES, AttemptError, GuardedBackend, Resolve, Resolver
from relay.domain.delivery import Outcome, Reply
from relay.domain.destination import Address, DestinationPolicy, Verdict
from tests.support.listener import OK, certificate, listener, status
from tests.support.nameserver import nameserver

INSIDE = DestinationPolicy(allow=tuple(map(ip_network, ("127.0.0.0/8", "::1/128", "192.168.0.0/16"))))


def resolving_to(*addresses: str) -> Resolve:
    async def resolve(_: str) -> list[Address]:
        return [ip_address(address) for address in addresses]

    return resolve


async def post(url: str, policy: DestinationPolicy = INSIDE, *, resolve: Resolve | None = None) -> Reply:
    async with aclosing(CallbackClient(policy, deadline_s=0.5, resolve=resolve)) as client:
        return await client.post(url, b"{}", {}, now=0)


async def test_a_refused_port_is_a_connect_error() -> None:
    async with listener(OK) as gone:
        pass
    assert (await post(gone.url)).outcome is Outcome.CONNECT_ERROR


async def test_localhost_is_found_without_asking_anybody() -> None:
    async with listener(OK) as listening:
        assert (await post(f"http://localhost:{listening.port}/")).outcome is Outcome.DELIVERED


async def test_a_name_that_does_not_exist_is_a_dns_error() -> None:
    async with aclosing(Resolver()) as resolver:
        with pytest.raises(AttemptError) as raised:
            await resolver("a..b")
    assert raised.value.outcome is Outcome.DNS_ERROR


@contextmanager
def using_memory() -> Iterator[None]:
    """After each line that is run in the block, write over all small pieces of memory that have just been freed."""
    taken: list[bytes] = []

    def take(*_: object) -> object:
        taken.extend(bytes(size) for size in range(256))
        return take

    before = sys.gettrace()
    sys.settrace(take)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(before)


async def test_a_resolver_asks_its_nameserver_whatever_else_uses_memory_while_it_is_made() -> None:
    async with nameserver(lambda _: ["127.0.0.1"]) as dns:
        with using_memory():
            made = Resolver([dns.address])
        async with aclosing(made) as resolver:
            assert await resolver("name.test") == [ip_address("127.0.0.1")]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "::ffff:127.0.0.1"]])
async def test_a_name_with_a_forbidden_address_among_its_own_sees_no_connect(addresses: list[str]) -> None:
    async with listener(OK) as canary:
        policy = DestinationPolicy(ports=frozenset({canary.port}))
        reply = await post(f"https://rebind.example:{canary.port}/", policy, resolve=resolving_to(*addresses))
    assert (reply.outcome, canary.connects) == (Outcome.REFUSED, 0)


async def test_localhost_itself_sees_no_connect_unless_it_is_opened() -> None:
    async with listener(OK) as canary:
        reply = await post(f"https://localhost:{canary.port}/", DestinationPolicy(ports=frozenset({canary.port})))
    assert (reply.outcome, canary.connects) == (Outcome.REFUSED, 0)


async def test_a_name_is_resolved_once_for_each_connection_and_judged_each_time() -> None:
    answers = iter(["127.0.0.1", "10.0.0.1", "127.0.0.1"])

    async def flip(_: str) -> list[Address]:
        return [ip_address(next(answers))]

    flipping = CallbackClient(INSIDE, resolve=flip)
    async with listener(status("200 OK", "connection: close")) as listening, aclosing(flipping) as client:
        url = f"http://flip.example:{listening.port}/"
        outcomes = [(await client.post(url, b"{}", {}, now=0)).outcome for _ in range(3)]
    assert outcomes == [Outcome.DELIVERED, Outcome.REFUSED, Outcome.DELIVERED]
    assert listening.connects == 2


async def test_http_to_a_name_outside_the_opened_networks_is_refused_at_connect() -> None:
    reply = await post("http://public.example/", resolve=resolving_to("8.8.8.8"))
    assert (reply.outcome, reply.verdict, reply.detail) == (Outcome.REFUSED, Verdict.SCHEME, "8.8.8.8")


async def test_a_forbidden_url_is_refused_by_sight() -> None:
    reply = await post("https://127.0.0.1/", DestinationPolicy())
    assert (reply.outcome, reply.verdict) == (Outcome.REFUSED, Verdict.LOOPBACK)


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with listener(OK) as listening:
        reply = await post(f"http://two.example:{listening.port}/", resolve=resolving_to("::1", "127.0.0.1"))
    assert reply.outcome is Outcome.DELIVERED


async def tls_outcome(host: str, shown: ssl.SSLContext, trusted: ssl.SSLContext | None) -> Outcome:
    client = CallbackClient(INSIDE, tls=trusted, resolve=resolving_to("127.0.0.1"))
    async with listener(OK, tls=shown) as listening, aclosing(client):
        reply = await client.post(f"https://{host}:{listening.port}/", b"{}", {}, now=0)
    return reply.outcome


async def test_the_certificate_is_checked_against_the_name(tmp_path: Path) -> None:
    made = certificate("receiver.example", tmp_path)
    assert await tls_outcome("receiver.example", made.server, made.trusting) is Outcome.DELIVERED
    assert await tls_outcome("other.example", made.server, made.trusting) is Outcome.TLS_ERROR
    assert await tls_outcome("127.0.0.1", made.server, made.trusting) is Outcome.TLS_ERROR
    assert await tls_outcome("receiver.example", made.server, None) is Outcome.TLS_ERROR


async def test_silence_instead_of_a_handshake_is_a_timeout() -> None:
    async with listener(OK) as listening:
        reply = await post(f"https://127.0.0.1:{listening.port}/")
    assert (reply.outcome, listening.connects) == (Outcome.TIMEOUT, 1)


async def test_plain_http_instead_of_a_handshake_is_a_tls_error() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(status("400 Bad Request"))
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        reply = await post(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert reply.outcome is Outcome.TLS_ERROR


async def test_a_connection_holds_little_that_was_not_asked_for() -> None:
    async with listener(OK) as listening:
        stream = await GuardedBackend("http", INSIDE, resolving_to()).connect_tcp("127.0.0.1", listening.port)
        holds_bytes = stream.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        await stream.aclose()
    assert holds_bytes <= 2 * ANSWER_BYTES  # Linux doubles what it is asked for
