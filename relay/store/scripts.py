"""Scripts: each Lua file of this folder is one atomic write."""

from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from relay import metrics
from relay.domain.errors import StoreUnavailableError
from relay.store import keys as names
from relay.store.link import Link, Word


class Script:
    """One script, sent by its hash; the store is taught it again after a restart."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._source = f"local CLOCK = '{names.CLOCK}'\n{_read('clock')}{_read('trail')}{_read(name)}"
        self._sha = sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: list[str], args: list[Word]) -> Any:
        """Run it. Raises StoreUnavailableError when the store did not answer, or refused the write."""
        try:
            return await self._link.ask("EVALSHA", self._sha, len(keys), *keys, *args)
        except NoScriptError:
            return await refusing(self._link.ask("EVAL", self._source, len(keys), *keys, *args))
        except RedisError as error:
            raise _unavailable(error) from error


def _read(name: str) -> str:
    return files("relay.store").joinpath(f"{name}.lua").read_text()


async def refusing(asked: Any) -> Any:
    """Await an answer; a refusal (out of memory, read-only, loading) becomes StoreUnavailableError."""
    try:
        return await asked
    except RedisError as error:
        raise _unavailable(error) from error


def _unavailable(error: RedisError) -> StoreUnavailableError:
    metrics.STORE_ERRORS.inc()
    return StoreUnavailableError(f"the store refused: {str(error)[:200]}")
