"""Opening the store, and judging whether it keeps its promises."""

from dataclasses import dataclass

from redis.asyncio import ConnectionPool

from relay.domain.errors import SettingError
from relay.store.link import TIMEOUT_S
from relay.store.store import Store

_SCHEMES = ("redis://", "rediss://", "unix://")
_NEEDED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


def connection_pool(url: str) -> ConnectionPool:
    """Return a pool of connections to the store. Raises SettingError when the URL is none."""
    if not url.startswith(_SCHEMES):
        raise SettingError(f"RELAY_REDIS_URL: write it as one of {', '.join(_SCHEMES)}")
    try:
        return ConnectionPool.from_url(url, socket_connect_timeout=TIMEOUT_S)
    except ValueError:
        raise SettingError("RELAY_REDIS_URL: it cannot be read; escape special characters as %XX") from None


async def weaknesses(store: Store) -> tuple[str, ...]:
    """Return why the store could lose an acknowledged write; empty when it could not.

    Raises StoreUnavailableError when it cannot be asked. Measured for the project: any other `appendfsync` loses
    acknowledged writes on a plain kill.
    """
    found: list[str] = []
    for name, needed in _NEEDED.items():
        answer = await store.ask("CONFIG", "GET", name)
        value = answer[1].decode() if answer else "(hidden)"
        if value != needed:
            found.append(f"{name} is {value}, not {needed}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Server:
    """Which server the store is: its own name and version, the Redis version it is like, its clock (Unix seconds)."""

    shown: str
    redis_version: tuple[int, ...]
    now: float


async def server(store: Store) -> Server:
    """Ask the store which server it is, and its time last. Raises StoreUnavailableError when it cannot be asked."""
    lines = (await store.ask("INFO", "server")).decode().splitlines()
    info = dict(line.split(":", 1) for line in lines if ":" in line)
    redis = info.get("redis_version", "")
    own = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {redis}"
    seconds, microseconds = await store.ask("TIME")
    return Server(
        shown=own,
        redis_version=tuple(int(part) for part in redis.split(".") if part.isdecimal()),
        now=int(seconds) + int(microseconds) / 1e6,
    )
