"""Dialing: which connections a URL means, and that they go to the primary, whichever server that is by now."""

import asyncio
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.exceptions import ConnectionError as NotConnectedError
from redis.exceptions import ReadOnlyError, RedisError

from relay.domain.errors import SettingError

TIMEOUT_S = 1.5  # for connecting; what is asked is given up by who asks, and at the latest after twice as long
SENTINEL_TIMEOUT_S = 0.4  # so that the third of them can still be asked in time
SENTINEL_PORT = 26_379
SENTINEL_SCHEME = "redis+sentinel"
SCHEMES = ("redis", "rediss", "unix", SENTINEL_SCHEME)

_PARTS = re.compile(r"^[^:]+://([^/?#]*)([^?#]*)\??([^#]*)")  # urlsplit takes several hosts for none (CPython 3.12.9)
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s\[\]:,/@]+))(?::(?P<port>\d{1,5}))?")


class _Ours:
    """What the relay's connections do otherwise than redis-py's.

    One is dropped once its server is read-only: the primary is elsewhere, and is looked for anew. And what is cancelled
    while it sends ends: redis-py waits with `asyncio.wait_for`, which loses a cancellation that comes as the wait ends
    (CPython before 3.12), so that a duty which was stopped would go on for ever.
    """

    async def send_packed_command(self, command: Any, check_health: Any = True) -> None:  # noqa: FBT002 - redis-py's
        if not self.is_connected:  # type: ignore[attr-defined] # a mixin's
            await self.connect()  # type: ignore[attr-defined] # a mixin's
        elif check_health:
            await self.check_health()  # type: ignore[attr-defined] # a mixin's
        try:
            async with asyncio.timeout(self.socket_timeout):  # type: ignore[attr-defined] # a mixin's
                await self._send_packed_command(command)  # type: ignore[attr-defined] # a mixin's
        except BaseException as error:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined] # a mixin's
            if isinstance(error, OSError):  # a timeout is one
                raise NotConnectedError(f"it could not be sent: {type(error).__name__}") from error
            raise

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc] # a mixin's
        except ReadOnlyError as error:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined] # a mixin's
            raise NotConnectedError("the server is read-only: it is the primary no longer") from error


class _Tcp(_Ours, Connection):
    pass


class _Tls(_Ours, SSLConnection):
    pass


class _Unix(_Ours, UnixDomainSocketConnection):
    pass


class _Found(_Ours, SentinelManagedConnection):
    pass


class _SentinelPool(SentinelConnectionPool):
    async def aclose(self) -> None:
        """Close the connections to the Sentinels, too."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


_KINDS = {SSLConnection: _Tls, UnixDomainSocketConnection: _Unix}


def connection_pool(url: str) -> ConnectionPool:
    """Return a pool of connections to the store. Raises SettingError when the URL is none.

    `redis+sentinel://[[user]:password@]host[:port],.../name[/db][?sentinel_username=&sentinel_password=]` asks these
    Sentinels where the primary called `name` is, for each new connection; user and password are the primary's.
    """
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES or "://" not in url:
        raise SettingError(f"RELAY_REDIS_URL: write it as one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    if not url.isascii():  # of which urlsplit may complain by quoting the password
        raise SettingError("RELAY_REDIS_URL: write what is not ASCII as %XX")
    try:
        return _through_sentinels(url) if scheme == SENTINEL_SCHEME else _direct(url)
    except ValueError as error:
        raise SettingError(f"RELAY_REDIS_URL: it cannot be read; {error}") from None


def _direct(url: str) -> ConnectionPool:
    options = _options(url)
    kind = _KINDS.get(options.pop("connection_class", Connection), _Tcp)
    if kind is not _Unix and not (urlsplit(url).path.strip("/") or "0").isdecimal():
        raise ValueError("what follows the host is the number of a database, as in redis://host:6379/0")
    pool = ConnectionPool(kind, **_TIMEOUTS | options)
    try:
        # It dials nothing; an option that there is not is refused here.
        pool.make_connection()  # type: ignore[no-untyped-call] # the library's
    except (TypeError, RedisError):
        raise ValueError("an option after its ? is none that redis-py has, or has a wrong value") from None
    return pool


def _options(url: str) -> dict[str, Any]:
    try:
        return {**parse_url(url)}
    except ValueError:  # which may quote a part of the password
        raise ValueError("a port or an option is no number, or a special character is not written as %XX") from None


def _through_sentinels(url: str) -> ConnectionPool:
    netloc, path, options = _PARTS.findall(url)[0]
    credentials, _, hosts = netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    name, _, db = path.strip("/").partition("/")
    query = {key: values[-1] for key, values in parse_qs(options).items()}
    if not name or not (db or "0").isdecimal() or set(query) - {"sentinel_username", "sentinel_password"}:
        raise ValueError("write it as redis+sentinel://host:26379,host:26379/name/db, with the name of the primary")
    sentinels = Sentinel(  # type: ignore[no-untyped-call] # the library's
        [_address(host) for host in hosts.split(",")],
        sentinel_kwargs={
            "username": query.get("sentinel_username"),
            "password": query.get("sentinel_password"),
            "socket_timeout": SENTINEL_TIMEOUT_S,
            "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        },
    )
    return _SentinelPool(  # type: ignore[no-untyped-call] # likewise
        unquote(name),
        sentinels,
        connection_class=_Found,
        username=unquote(username) or None,
        password=unquote(password) or None,
        db=int(db or 0),
        **_TIMEOUTS,
    )


def _address(text: str) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError("a Sentinel is host or host:port, several with commas between")
    return found["ipv6"] or found["name"], int(found["port"] or SENTINEL_PORT)


_TIMEOUTS: dict[str, Any] = {
    "socket_connect_timeout": TIMEOUT_S,
    "socket_timeout": 2 * TIMEOUT_S,  # else one that has lost its peer would be waited on for a quarter of an hour
}
