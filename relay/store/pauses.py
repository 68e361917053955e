"""PauseStore: which accounts are paused, told by the holders of their lanes and read by whoever shows it."""

import orjson

from relay.domain.answer import AnswerKind
from relay.domain.gate import Pause
from relay.store import keys
from relay.store.scripts import Script
from relay.store.store import Store
from relay.store.write import Fence, held


class PauseStore:
    """Pauses by account. Raises StoreUnavailableError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keep = Script(store.link, "keep")

    async def keep(self, fence: Fence, pause: Pause | None) -> None:
        """Tell that the lane's account is paused, or that it goes on. Raises FencedError."""
        told: bytes | str = "" if pause is None else _written(pause)
        lane, account = keys.lane(fence.lane), fence.lane.account
        held(await self._keep([lane, keys.PAUSED], [fence.epoch, 0, account, told]), fence)

    async def get(self, account: str) -> Pause | None:
        """Return the account's pause, if it is paused."""
        value = await self._store.ask("HGET", keys.PAUSED, account)
        return None if value is None else _read(value)

    async def all(self) -> dict[str, Pause]:
        """Return every paused account."""
        found = await self._store.ask("HGETALL", keys.PAUSED)
        return {name.decode(): _read(value) for name, value in zip(found[::2], found[1::2], strict=True)}

    async def forget(self, account: str) -> None:
        """Forget the pause of an account whose key or URL was changed, or that is gone: the next poll will tell."""
        await self._store.ask("HDEL", keys.PAUSED, account)


def _written(pause: Pause) -> bytes:
    return orjson.dumps([pause.reason, pause.since, pause.probe_at, sorted(pause.refused)])


def _read(value: bytes) -> Pause:
    reason, since, probe_at, refused = orjson.loads(value)
    return Pause(AnswerKind(reason), since, probe_at, frozenset(refused))
