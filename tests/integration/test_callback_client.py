"""The callback client against real sockets: what receivers do, and what each is called."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from ipaddress import ip_network

import pytest

from relay import __version__
from relay.clients.callback import HOST_CONNECTIONS, MAX_PARTS, CallbackClient
from relay.domain.delivery import Outcome, Reply
from relay.domain.destination import DestinationPolicy
from tests.support.hostile import HOSTILE, say_nothing
from tests.support.listener import OK, Answer, listener, status

LOOPBACK = DestinationPolicy(allow=(ip_network("127.0.0.0/8"),))
NOW = 1_700_000_000.0


@pytest.fixture
async def client() -> AsyncIterator[CallbackClient]:
    async with aclosing(CallbackClient(LOOPBACK, deadline_s=0.5)) as client:
        yield client


async def post(client: CallbackClient, url: str) -> Reply:
    return await client.post(url, b'{"a": 1}', {"webhook-id": "reg_1"}, now=NOW)


async def test_a_callback_is_posted_as_the_contract_says(client: CallbackClient) -> None:
    async with listener(OK) as listening:
        reply = await post(client, listening.url)
    assert (reply.outcome, reply.status_code, reply.excerpt) == (Outcome.DELIVERED, 200, b"ok")
    head, _, body = listening.requests[0].partition(b"\r\n\r\n")
    assert body == b'{"a": 1}'
    line, *headers = head.decode().lower().split("\r\n")
    assert line == "post /hook?a=b http/1.1"
    assert set(headers) == {
        f"host: 127.0.0.1:{listening.port}",
        "accept: */*",
        "accept-encoding: identity",
        "content-type: application/json",
        f"user-agent: taskstatus-relay/{__version__}",
        "webhook-id: reg_1",
        "content-length: 8",
    }


async def test_the_path_goes_out_byte_for_byte(client: CallbackClient) -> None:
    async with listener(OK) as listening:
        await post(client, f'http://127.0.0.1:{listening.port}/a/../b//%7e?{{x}}|"^%zz')
    assert listening.requests[0].startswith(b'POST /a/../b//%7e?{x}|"^%zz HTTP/1.1\r\n')


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("204 No Content", Outcome.DELIVERED),
        ("404 Not Found", Outcome.CLIENT_ERROR),
        ("410 Gone", Outcome.GONE),
        ("500 Oh", Outcome.SERVER_ERROR),
    ],
)
async def test_the_status_line_decides(client: CallbackClient, line: str, outcome: Outcome) -> None:
    async with listener(status(line)) as listening:
        reply = await post(client, listening.url)
    assert (reply.outcome, reply.status_code) == (outcome, int(line[:3]))


async def test_retry_after_becomes_an_instant(client: CallbackClient) -> None:
    async with listener(status("429 Slow Down", "retry-after: 60")) as listening:
        reply = await post(client, listening.url)
    assert reply.outcome is Outcome.THROTTLED
    assert reply.retry_at is not None
    assert NOW + 60 <= reply.retry_at <= NOW + 61


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept(client: CallbackClient) -> None:
    async with listener(OK) as canary:
        moved = status("307 Moved", f"location: {canary.url}", "set-cookie: a=b")
        async with listener(moved) as listening:
            outcomes = [(await post(client, listening.url)).outcome for _ in range(2)]
    assert outcomes == [Outcome.REDIRECT, Outcome.REDIRECT]
    assert canary.connects == 0
    assert b"cookie" not in listening.requests[1].lower()


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listener(OK) as canary, listener(OK) as listening:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        async with aclosing(CallbackClient(LOOPBACK)) as client:
            assert (await post(client, listening.url)).outcome is Outcome.DELIVERED
    assert canary.connects == 0


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        *HOSTILE.values(),
        (status("101 Switching Protocols"), Outcome.PROTOCOL_ERROR),
        (b"HTTP/1.1 2000 OK\r\n\r\n", Outcome.PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", Outcome.PROTOCOL_ERROR),
    ],
)
async def test_whatever_a_receiver_does_has_a_name_and_an_end(
    client: CallbackClient, answer: bytes | Answer, outcome: Outcome
) -> None:
    async with listener(answer) as listening:
        reply = await post(client, listening.url)
    assert reply.outcome is outcome
    assert len(reply.excerpt) <= 1_024
    assert len(reply.detail) <= 200


async def test_a_connection_is_used_again_but_not_after_an_answer_that_is_too_long(client: CallbackClient) -> None:
    async with listener(OK) as short, listener(status("200 OK", body=b"x" * 20_000)) as long:
        for listening in (short, long):
            assert [(await post(client, listening.url)).outcome for _ in range(3)] == [Outcome.DELIVERED] * 3
    assert (short.connects, long.connects) == (1, 3)


async def test_a_receiver_that_hangs_holds_up_itself_alone() -> None:
    patient = CallbackClient(LOOPBACK, deadline_s=3)
    async with listener(say_nothing) as hung, listener(OK) as healthy, aclosing(patient) as client:
        waiting = [asyncio.create_task(post(client, hung.url)) for _ in range(HOST_CONNECTIONS + 5)]
        assert [(await post(client, healthy.url)).outcome for _ in range(50)] == [Outcome.DELIVERED] * 50
        assert hung.connects == HOST_CONNECTIONS
        assert {reply.outcome for reply in await asyncio.gather(*waiting)} == {Outcome.TIMEOUT}


async def test_idle_hosts_are_closed_beyond_the_bound() -> None:
    frugal = CallbackClient(LOOPBACK, max_idle_hosts=1)
    async with listener(OK) as first, listener(OK) as second, aclosing(frugal) as client:
        for listening in (first, second, first, first):
            await post(client, listening.url)
    assert (first.connects, second.connects) == (2, 1)


async def test_a_cancelled_attempt_closes_its_connection(client: CallbackClient) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def watch(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        closed.set()

    async with listener(watch) as listening:
        attempt = asyncio.create_task(post(client, listening.url))
        await arrived.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await closed.wait()


async def test_an_answer_in_tiny_chunks_is_read_no_further_than_its_parts_are_worth(client: CallbackClient) -> None:
    chunked = b"HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500 + b"0\r\n\r\n"
    async with listener(chunked) as listening:
        reply = await post(client, listening.url)
    assert (reply.outcome, reply.excerpt) == (Outcome.SERVER_ERROR, b"x" * MAX_PARTS)
