"""Slow senders: whoever dribbles a request is cut off, by the hundreds, while everybody else is served."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay
from tests.support.clock import wait_until

DRIBBLERS = 500
RECEIVE_S = 2.0
AUTHORIZATION = {"authorization": "Bearer alice's key"}
HEAD = b"POST /v1/registrations HTTP/1.1\r\nhost: relay\r\nauthorization: Bearer alice's key\r\n"
HEADERS_FOR_EVER = HEAD + b"x-slow: "
BODY_FOR_EVER = HEAD + b"content-type: application/json\r\ncontent-length: 60000\r\n\r\n"
A_GET = b"GET /healthz HTTP/1.1\r\nhost: relay\r\n\r\n"


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * DRIBBLERS
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted if hard < 0 else min(hard, wanted)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def served(relay: Relay, *, receive_s: float = RECEIVE_S) -> AsyncIterator[str]:
    async with serving(create_app(relay), "127.0.0.1", 0, receive_s=receive_s) as url:
        yield url


class Dribbler:
    """Sends a beginning, then a byte now and then until it is cut off; `said` is what it was told by then."""

    def __init__(self, url: str, begin: bytes) -> None:
        self._port = int(url.rpartition(":")[2])
        self._begin = begin
        self.begun = False
        self.said = b""

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._begin)
        self.begun = True
        listening = asyncio.create_task(self._listen(reader))
        while not listening.done():
            writer.write(b" " if self._begin else b"")
            await asyncio.wait((listening,), timeout=0.25)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while part := await reader.read(65_536):
                self.said += part


async def test_five_hundred_dribblers_are_cut_off_while_others_are_served(relay: Relay) -> None:
    async with served(relay) as url, httpx.AsyncClient(base_url=url, headers=AUTHORIZATION, trust_env=False) as http:
        dribblers = [Dribbler(url, (HEADERS_FOR_EVER, BODY_FOR_EVER)[n % 2]) for n in range(DRIBBLERS)]
        dribbling = [asyncio.create_task(one.run()) for one in dribblers]
        await wait_until(lambda: all(one.begun for one in dribblers))
        answers: list[httpx.Response] = []
        while not all(task.done() for task in dribbling):
            wish = {"request_id": f"task-{len(answers)}", "callback_url": "https://receiver.example.com/"}
            answers.append(await http.post("/v1/registrations", json=wish))
        await asyncio.gather(*dribbling)

    assert {answer.status_code for answer in answers} == {201}
    told = [one for one in dribblers if one.said.startswith(b"HTTP/1.1 408 ") and b'"request_timeout"' in one.said]
    assert len(told) > DRIBBLERS // 2  # a reset may come before the words do


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (HEADERS_FOR_EVER, b"HTTP/1.1 408 "),
        (BODY_FOR_EVER, b"HTTP/1.1 408 "),
        (A_GET + HEADERS_FOR_EVER, b"HTTP/1.1 200 "),
        (b"", b""),
    ],
    ids=["headers", "body", "a second request", "nothing at all"],
)
async def test_what_is_not_whole_in_time_ends_the_connection(relay: Relay, begin: bytes, said: bytes) -> None:
    async with served(relay, receive_s=0.3) as url:
        dribbler = Dribbler(url, begin)
        await dribbler.run()

    assert dribbler.said.startswith(said)
    assert dribbler.said.count(b"HTTP/1.1 408 ") == (1 if begin else 0)


async def test_whoever_sends_slowly_but_in_time_is_served_and_then_left_in_peace(relay: Relay) -> None:
    async with served(relay, receive_s=10.0) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        for _ in range(2):
            for place in range(len(A_GET)):
                writer.write(A_GET[place : place + 1])
                await asyncio.sleep(0)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(len(b'{"status":"ok"}')) == b'{"status":"ok"}'
        writer.close()
        await writer.wait_closed()
