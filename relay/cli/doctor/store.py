"""What `relay doctor` checks of the store: that it answers, is new enough, loses nothing, and tells the same time."""

import os
import time
from pathlib import Path

from relay.cli.doctor.check import Check, ok, warning, wrong
from relay.cli.local import data_dir
from relay.domain.errors import SettingError, StoreUnavailableError
from relay.embedded import EmbeddedValkeyError, find_server
from relay.settings import Settings
from relay.store.dialing import connection_pool
from relay.store.opening import Server, server, weaknesses
from relay.store.store import Store

NEEDED_VERSION = (7, 2)
CLOCK_WARNING_S = 1.0
_DURABLE = "set `appendonly yes`, `appendfsync always`, `maxmemory-policy noeviction` in the server's configuration"


async def check_store(settings: Settings) -> list[Check]:
    """Return what is to say of the store that these settings name, or of the one that `relay run` would embed."""
    if settings.redis_url is None:
        return [_check_binary(), _check_data_dir(data_dir(settings))]
    try:
        store = Store(
            connection_pool(settings.redis_url.get_secret_value()), wait_replicas=settings.store_wait_replicas
        )
    except SettingError as error:
        return [wrong("store", str(error), "write it as redis://[:password@]host:6379/0")]
    try:
        return await _check_server(store, allow_degraded=settings.allow_degraded)
    finally:
        await store.aclose()


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
        passed = time.time() - found.now
        return [
            ok("store", f"it answers: {found.shown}"),
            _check_version(found),
            _check_durability(await weaknesses(store), allow_degraded=allow_degraded),
            _check_clock(passed),
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


def _check_clock(ahead_s: float) -> Check:
    detail = f"this machine's clock is {abs(ahead_s):.3f} s {'ahead of' if ahead_s > 0 else 'behind'} the store's"
    if abs(ahead_s) <= CLOCK_WARNING_S:
        return ok("clock", detail)
    return warning("clock", detail, "let both machines keep time by NTP; deadlines and timestamps are off by as much")
