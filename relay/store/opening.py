"""Opening the store, and judging whether it keeps its promises."""

from dataclasses import dataclass

from redis.exceptions import ResponseError

from relay.store.store import Store

_NEEDED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_HIDDEN = "(hidden)"


async def weaknesses(store: Store) -> tuple[str, ...]:
    """Return why the store could lose an acknowledged write; empty when it could not.

    Raises StoreUnavailableError when it cannot be asked. Measured for the project: any other `appendfsync` loses
    acknowledged writes on a plain kill.
    """
    found: list[str] = []
    for name, needed in _NEEDED.items():
        if (value := await _configured(store, name)) != needed:
            found.append(f"{name} is {value}, not {needed}")
    if store.wait_replicas:
        answer = dict(line.partition(":")[::2] for line in (await store.ask("INFO", "replication")).decode().split())
        connected = int(answer.get("connected_slaves", 0))
        if connected < store.wait_replicas:
            found.append(f"{connected} replicas are connected, not {store.wait_replicas}")
    return tuple(found)


async def _configured(store: Store, name: str) -> str:
    try:
        answer = await store.link.ask("CONFIG", "GET", name)
    except ResponseError:  # as hosted servers have it: what they will not say is not believed
        return _HIDDEN
    return answer[1].decode() if answer else _HIDDEN


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
