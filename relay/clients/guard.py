"""The transport that connects only where the destination policy allows.

A name is resolved once for each connection, every address it has must be allowed, and the connection goes to one of
those very addresses, so that no second resolution can differ. Host header, SNI and certificate check stay on the name.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address

import aiodns
import httpcore
import httpx

from relay.domain.delivery import Outcome
from relay.domain.destination import Address, DestinationPolicy, Verdict, judge_connection, literal

ANSWER_BYTES = 16 * 1_024
CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_S = 4.0  # shorter than the 5 s of many servers, so that they seldom close first
MAX_ADDRESSES_TRIED = 3
RESOLVE_TIMEOUT_S = 2.0
# Whatever is asked for, the event loop takes out of a socket what is in it: 200 floods at once were 25 MiB.
_SOCKET_OPTIONS: tuple[httpcore.SOCKET_OPTION, ...] = ((socket.SOL_SOCKET, socket.SO_RCVBUF, ANSWER_BYTES),)

Resolve = Callable[[str], Awaitable[list[Address]]]
SocketOptions = Iterable[httpcore.SOCKET_OPTION]


class AttemptError(Exception):
    """Why an attempt has no answer. `detail` and `verdict` are for operators alone: they tell of addresses."""

    def __init__(self, outcome: Outcome, detail: str, verdict: Verdict | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.verdict = verdict


class Resolver:
    """Names to addresses, by /etc/hosts and DNS, on no thread of asyncio's pool: a slow name delays no other.

    `nameservers` are `address:port`; by default the machine's own. Which is asked first is the machine's to say
    (nsswitch.conf; by default the file): pycares 5 gives c-ares `lookups` in memory that it has freed already, and now
    and then a resolver made with it knew no way at all.
    """

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        loop = asyncio.get_running_loop()
        self._dns = aiodns.DNSResolver(nameservers=nameservers or None, loop=loop)

    async def __call__(self, host: str) -> list[Address]:
        """Return the addresses of `host`, best first. Raises AttemptError(DNS_ERROR) when it has none within 2 s."""
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                answer = await self._dns.getaddrinfo(host, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise AttemptError(Outcome.DNS_ERROR, f"{host}: no answer within {RESOLVE_TIMEOUT_S:g} s") from None
        except aiodns.error.DNSError as error:
            raise AttemptError(Outcome.DNS_ERROR, f"{host}: {error}") from error
        return [ip_address(node.addr[0].decode()) for node in answer.nodes]

    async def aclose(self) -> None:
        """Give up what is being resolved, and close."""
        await self._dns.close()


class GuardedStream(httpcore.AsyncNetworkStream):
    """A connection whose answers end: at most 16 KiB, head and body together, are read after each write."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left_bytes = ANSWER_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's interface
        if self._left_bytes <= 0:
            raise AttemptError(Outcome.PROTOCOL_ERROR, f"the answer is longer than {ANSWER_BYTES} bytes")
        chunk = await self._stream.read(min(max_bytes, self._left_bytes), timeout)
        self._left_bytes -= len(chunk)
        return chunk

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's interface
        self._left_bytes = ANSWER_BYTES
        await self._stream.write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        try:
            return GuardedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except (httpcore.ConnectError, ssl.SSLError) as error:
            raise AttemptError(Outcome.TLS_ERROR, str(error)) from error
        except asyncio.CancelledError:
            await self._stream.aclose()  # httpcore forgets a connection whose handshake is cancelled
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections that will speak `scheme`, to judged addresses alone."""

    def __init__(self, scheme: str, policy: DestinationPolicy, resolve: Resolve) -> None:
        self._scheme = scheme
        self._policy = policy
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del timeout, local_address, socket_options  # nobody here sets them
        spelled = literal(host)
        addresses = await self._resolve(host) if spelled is None else [spelled]
        self._insist(addresses, port)
        return await self._connect(addresses[:MAX_ADDRESSES_TRIED], port)

    def _insist(self, addresses: list[Address], port: int) -> None:
        if not addresses:
            raise AttemptError(Outcome.DNS_ERROR, "the name has no address")
        for address in addresses:
            verdict = judge_connection(address, self._scheme, port, self._policy)
            if verdict is not Verdict.ALLOWED:
                raise AttemptError(Outcome.REFUSED, str(address), verdict)

    async def _connect(self, addresses: list[Address], port: int) -> GuardedStream:
        failure = AttemptError(Outcome.CONNECT_ERROR, "")
        for address in addresses:
            try:
                stream = await self._network.connect_tcp(
                    str(address), port, CONNECT_TIMEOUT_S, socket_options=_SOCKET_OPTIONS
                )
                return GuardedStream(stream)
            except httpcore.ConnectTimeout:
                failure = AttemptError(Outcome.TIMEOUT, f"{address}: no connection within {CONNECT_TIMEOUT_S:g} s")
            except httpcore.ConnectError as error:
                failure = AttemptError(Outcome.CONNECT_ERROR, f"{address}: {error}")
        raise failure


class GuardedPool(httpcore.AsyncConnectionPool):
    """A pool of guarded connections, each judged for its own origin's scheme, and not used again when idle for 4 s."""

    def __init__(self, policy: DestinationPolicy, resolve: Resolve, tls: ssl.SSLContext, max_connections: int) -> None:
        super().__init__(max_connections=max_connections, keepalive_expiry=KEEPALIVE_S)
        self._policy = policy
        self._resolve = resolve
        self._tls = tls

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        return httpcore.AsyncHTTPConnection(
            origin=origin,
            ssl_context=self._tls,
            keepalive_expiry=KEEPALIVE_S,
            network_backend=GuardedBackend(origin.scheme.decode(), self._policy, self._resolve),
        )


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over guarded connections: no proxy, no socket file, no retry, and no variable changes that."""

    def __init__(self, policy: DestinationPolicy, resolve: Resolve, tls: ssl.SSLContext, max_connections: int) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = GuardedPool(policy, resolve, tls, max_connections)
