"""UpstreamClient: one status or metrics call, and what it meant.

The transport is used bare: no redirects, no cookies, no proxies, no retries that nobody counted. Each transport
holds at most four connections, as httpx slows down steeply with more in one pool.
"""

import asyncio
import ssl
import time
from functools import partial
from typing import Protocol, TypeVar
from urllib.parse import quote

import httpx

from relay import __version__
from relay.domain.account import Account
from relay.domain.answer import Answer, AnswerKind, read
from relay.domain.backlog import Backlog, read_backlog
from relay.domain.delivery import parse_retry_after
from relay.domain.operations import Operation
from relay.domain.task import TaskName

CONNECTIONS = 4
MAX_BODY_BYTES = 1_048_576
HANDFUL = 64
MAX_PARTS = 4_096  # a MiB in chunks of one byte would be a million of them, and seconds of this process
_USER_AGENT = f"taskstatus-relay/{__version__}"

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Reader(Protocol[T_co]):
    """Says what a reply means."""

    def __call__(self, status_code: int, body: bytes, *, retry_after_s: float | None) -> T_co: ...


class _Transport:
    """A small pool of connections, and how many calls are on it."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=30.0)
        self.http = httpx.AsyncHTTPTransport(verify=tls, limits=limits, trust_env=False, retries=0)
        self.calls = 0


class UpstreamClient:
    """Asks one account's upstream. `timeout_s` bounds a call as a whole: connecting, sending and reading."""

    def __init__(self, tls: ssl.SSLContext, *, timeout_s: float) -> None:
        self._tls = tls
        self._timeout_s = timeout_s
        self._transports: list[_Transport] = []

    async def ask(self, account: Account, name: TaskName) -> Answer:
        """Poll a task once. Never raises for what the upstream or the network does: that is an answer too."""
        url = f"{account.status_url(name.operation)}?RequestID={quote(name.request_id, safe='')}"
        return await self._call(account, url, partial(read, request_id=name.request_id))

    async def ask_backlog(self, account: Account, operation: Operation) -> Backlog | Answer:
        """Ask once how an operation's queue stands. Never raises, like `ask`."""
        return await self._call(account, account.metrics_url(operation), read_backlog)

    async def _call(self, account: Account, url: str, reader: Reader[T]) -> T | Answer:
        headers = {"x-api-key": account.api_key, "accept-encoding": "identity", "user-agent": _USER_AGENT}
        transport = self._free_transport()
        transport.calls += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                return await _answer(transport.http, httpx.Request("GET", url, headers=headers), reader)
        except TimeoutError:
            return Answer(AnswerKind.TIMEOUT, detail=f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError) as error:
            return Answer(AnswerKind.ERROR, detail=type(error).__name__)
        finally:
            transport.calls -= 1

    def _free_transport(self) -> _Transport:
        for transport in self._transports:
            if transport.calls < CONNECTIONS:
                return transport
        self._transports.append(_Transport(self._tls))
        return self._transports[-1]

    async def aclose(self) -> None:
        for transport in self._transports:
            await transport.http.aclose()


async def _answer(http: httpx.AsyncHTTPTransport, request: httpx.Request, reader: Reader[T]) -> T | Answer:
    response = await http.handle_async_request(request)
    try:
        body = await _capped(response)
    finally:
        await response.aclose()
    if body is None:
        return Answer(AnswerKind.UNUSABLE, detail=f"a body of more than {MAX_BODY_BYTES} bytes or {MAX_PARTS} parts")
    return reader(response.status_code, body, retry_after_s=_retry_after_s(response))


async def _capped(response: httpx.Response) -> bytes | None:
    """Return the body, or None when it is too much."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > MAX_BODY_BYTES or len(parts) == MAX_PARTS:
            return None
        parts.append(part)
        if len(parts) % HANDFUL == 0:
            await asyncio.sleep(0)  # what has come in one piece is given part by part without a pause
    return b"".join(parts)


def _retry_after_s(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after")
    if value is None:
        return None
    now = time.time()
    at = parse_retry_after(value, now)
    return None if at is None else max(0.0, at - now)
