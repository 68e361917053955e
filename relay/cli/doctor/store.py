"""What `relay doctor` checks of the store: that it answers, is new enough, writes and keeps, and tells the time."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from relay.cli.doctor.check import Check, ok, warning, wrong
from relay.cli.local import data_dir
from relay.domain.errors import SettingError, StoreUnavailableError
from relay.embedded import SOCKET_NAME, EmbeddedValkeyError, find_server
from relay.settings import Settings
from relay.store import keys
from relay.store.dialing import connection_pool
from relay.store.opening import Server, server, weaknesses
from relay.store.store import Store

NEEDED_VERSION = (7, 2)
CLOCK_WARNING_S, WRITE_WARNING_S = 1.0, 0.25
_DURABLE = "set `appendonly yes`, `appendfsync always`, `maxmemory-policy noeviction` in the server's configuration"


@asynccontextmanager
async def examined(settings: Settings) -> AsyncIterator[tuple[list[Check], Store | None]]:
    """Give what is to say of the store that these settings name, or that `relay run` embeds, and it, if it is well."""
    url = settings.redis_url.get_secret_value() if settings.redis_url else await _running_at(data_dir(settings))
    if url is None:
        yield [_check_binary(), _check_data_dir(data_dir(settings))], None
        return
    try:
        store = Store(connection_pool(url), wait_replicas=settings.store_wait_replicas)
    except SettingError as error:
        yield [wrong("store", str(error), "write it as redis://[:password@]host:6379/0")], None
        return
    try:
        checks = await _check_server(store, allow_degraded=settings.allow_degraded)
        yield checks, store if len(checks) > 1 else None
    finally:
        await store.aclose()


async def _running_at(directory: Path) -> str | None:
    """Return the URL of the server that `relay run` embeds, if one listens in this directory."""
    socket = directory / SOCKET_NAME
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return None
    writer.close()
    return f"unix://{quote(str(socket))}"


def _check_binary() -> Check:
    try:
        return ok("store", f"RELAY_REDIS_URL is unset: `relay run` embeds one, {Path(find_server()).name}")
    except EmbeddedValkeyError as error:
        return wrong("store", "there is no server to embed", str(error))


def _check_data_dir(directory: Path) -> Check:
    """Judge where the embedded server writes; nothing is made there."""
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return ok("data directory", f"{directory} is writable" if existing == directory else f"{directory} can be made")
    return wrong(
        "data directory", f"{directory} cannot be written: see {existing}", "mend its rights, or set RELAY_DATA_DIR"
    )


async def _check_server(store: Store, *, allow_degraded: bool) -> list[Check]:
    try:
        found = await server(store)
        ahead_s = time.time() - found.now
        return [
            ok("store", f"it answers: {found.shown}"),
            _check_version(found),
            _check_durability(await weaknesses(store), allow_degraded=allow_degraded),
            await _check_write(store),
            _check_clock(ahead_s),
        ]
    except StoreUnavailableError as error:
        mend = "start it, or mend RELAY_REDIS_URL: host, port, password, rediss:// for TLS, rights to INFO and CONFIG"
        return [wrong("store", str(error), mend)]


def _check_version(found: Server) -> Check:
    if found.redis_version >= NEEDED_VERSION:
        return ok("store version", found.shown)
    return wrong("store version", f"{found.shown} is too old", "use Valkey or Redis 7.2 or newer")


def _check_durability(found: tuple[str, ...], *, allow_degraded: bool) -> Check:
    if not found:
        return ok("store durability", "an acknowledged write survives a crash")
    detail = f"it would lose acknowledged writes: {'; '.join(found)}"
    if allow_degraded:
        return warning("store durability", f"{detail}; RELAY_ALLOW_DEGRADED lets that pass", _DURABLE)
    return wrong("store durability", detail, _DURABLE)


async def _check_write(store: Store) -> Check:
    """Write what is forgotten at once: a replica, a full disk or missing rights show now, not at a registration."""
    started = time.monotonic()
    try:
        await store.ask("SET", keys.DOCTOR, 1, "PX", 1_000)
    except StoreUnavailableError as error:
        return wrong("store write", str(error), "name the primary, give the user rights to write, free memory and disk")
    took_s = time.monotonic() - started
    detail = f"on disk within {took_s * 1000:.1f} ms"
    if took_s <= WRITE_WARNING_S:
        return ok("store write", detail)
    return warning("store write", detail, "give it a faster disk: each registration waits so long")


def _check_clock(ahead_s: float) -> Check:
    detail = f"this machine's clock is {abs(ahead_s):.3f} s {'ahead of' if ahead_s > 0 else 'behind'} the store's"
    if abs(ahead_s) <= CLOCK_WARNING_S:
        return ok("clock", detail)
    return warning("clock", detail, "let both machines keep time by NTP; deadlines and timestamps are off by as much")
