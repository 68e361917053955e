"""The client that delivers callbacks: whatever a receiver does, an attempt ends in time and has a named outcome."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import cast

import httpx

from relay import __version__
from relay.clients.guard import KEEPALIVE_S, AttemptError, GuardedTransport, Resolve, Resolver
from relay.domain.admission import Limits
from relay.domain.delivery import EXCERPT_BYTES, Outcome, Reply, outcome_of, parse_retry_after
from relay.domain.destination import DestinationPolicy, Target, Verdict, parse

HOST_CONNECTIONS = Limits().host
MAX_PARTS = 64  # 16 KiB in chunks of one byte would be thousands of them, and a tenth of a second of this process
_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": f"taskstatus-relay/{__version__}",
}
_DETAIL_LENGTH = 200
_FAILURES = (AttemptError, httpx.HTTPError, OSError)
_OUTCOMES: tuple[tuple[type[Exception], Outcome], ...] = (  # the first that fits: TimeoutError is an OSError too
    (TimeoutError, Outcome.TIMEOUT),
    (httpx.TimeoutException, Outcome.TIMEOUT),
    (httpx.ProtocolError, Outcome.PROTOCOL_ERROR),
    (ssl.SSLError, Outcome.TLS_ERROR),
)


@dataclass(slots=True)
class _Host:
    """One origin's own small client, so that a receiver that hangs holds up itself alone."""

    url: httpx.URL
    transport: GuardedTransport
    users: int = 0
    idle_at: float = 0.0  # the event loop's time


class CallbackClient:
    """POSTs callbacks to where the policy allows. Made in a running event loop, closed with `aclose`.

    `deadline_s` bounds a whole attempt, from resolving the name to the answer's last byte. A host has four connections:
    whoever asks for more at once waits for one within its deadline (`domain/admission.py` sees to it that none does).
    Beyond `max_idle_hosts` the connections of the host idle for longest are closed. `tls` and `resolve` are for tests:
    by default the public authorities (or SSL_CERT_FILE) are trusted, and names resolved by /etc/hosts and DNS.
    """

    def __init__(
        self,
        policy: DestinationPolicy,
        *,
        deadline_s: float = 15.0,
        max_idle_hosts: int = 128,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._policy = policy
        self._deadline_s = deadline_s
        self._max_idle_hosts = max_idle_hosts
        self._tls = tls or _verifying_tls()
        self._resolver = Resolver()
        self._resolve = resolve or self._resolver
        self._busy: dict[str, _Host] = {}
        self._idle: dict[str, _Host] = {}  # in the order of `idle_at`

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, now: float) -> Reply:
        """Make one attempt, begun at `now` (Unix seconds). Whatever receiver and network do is a Reply, not an error.

        `headers` are the signature's; the client's own (content type, user agent, ...) win over them.
        """
        target = parse(url, self._policy)
        if isinstance(target, Verdict):
            return Reply(Outcome.REFUSED, verdict=target)
        started = _loop_time()
        try:
            async with self._host(target.origin) as host:
                reply = await self._exchange(host, _request(host, target, body, headers), started=started, now=now)
        except _FAILURES as error:
            reply = _failed(error)
        return replace(reply, duration_s=_loop_time() - started)

    async def aclose(self) -> None:
        """Close every connection and the resolver; attempts under way fail."""
        for host in (*self._busy.values(), *self._idle.values()):
            await host.transport.aclose()
        await self._resolver.aclose()

    async def _exchange(self, host: _Host, request: httpx.Request, *, started: float, now: float) -> Reply:
        deadline = started + self._deadline_s
        async with asyncio.timeout_at(deadline):
            response = await host.transport.handle_async_request(request)
        answered_at = now + _loop_time() - started
        return Reply(
            outcome_of(response.status_code),
            response.status_code,
            parse_retry_after(response.headers.get("retry-after"), answered_at),
            excerpt=await _read_excerpt(response, deadline),
        )

    @asynccontextmanager
    async def _host(self, origin: str) -> AsyncIterator[_Host]:
        """Lend the origin's client."""
        host = self._busy.get(origin) or self._idle.pop(origin, None) or self._new_host(origin)
        self._busy[origin] = host
        host.users += 1
        try:
            yield host
        finally:
            host.users -= 1
            if not host.users:
                del self._busy[origin]
                self._idle[origin] = host
                host.idle_at = _loop_time()
            await self._close_stale()

    def _new_host(self, origin: str) -> _Host:
        transport = GuardedTransport(self._policy, self._resolve, self._tls, HOST_CONNECTIONS)
        return _Host(httpx.URL(origin), transport)

    async def _close_stale(self) -> None:
        while self._idle:
            origin, host = next(iter(self._idle.items()))
            if len(self._idle) <= self._max_idle_hosts and host.idle_at + KEEPALIVE_S > _loop_time():
                return
            del self._idle[origin]
            await host.transport.aclose()


def _request(host: _Host, target: Target, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
    """Give httpx the origin alone to parse: the path goes out as it was judged, byte for byte."""
    extensions = {"target": target.path_and_query.encode()}
    return httpx.Request("POST", host.url, headers={**headers, **_HEADERS}, content=body, extensions=extensions)


async def _read_excerpt(response: httpx.Response, deadline: float) -> bytes:
    """Return the body's first KiB, however the rest fails: the status line has decided already."""
    excerpt, parts = bytearray(), 0
    try:
        async with asyncio.timeout_at(deadline), aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw())) as body:
            async for part in body:
                excerpt += part[: EXCERPT_BYTES - len(excerpt)]
                parts += 1
                if parts == MAX_PARTS:
                    break
    except _FAILURES:
        pass
    finally:
        await response.aclose()
    return bytes(excerpt)


def _failed(error: Exception) -> Reply:
    if isinstance(error, AttemptError):
        return Reply(error.outcome, detail=error.detail[:_DETAIL_LENGTH], verdict=error.verdict)
    outcome = next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), Outcome.CONNECT_ERROR)
    return Reply(outcome, detail=f"{type(error).__name__}: {error}"[:_DETAIL_LENGTH])


def _verifying_tls() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
