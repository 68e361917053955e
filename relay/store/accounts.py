"""AccountStore: the accounts that the operator has added, their keys encrypted."""

from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import orjson

from relay.domain.account import DEFAULT_ACCOUNT, Account, AccountEntry
from relay.domain.budget import Limit
from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from relay.store.store import Store
from relay.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Said:
    """What the operator has said of an account and of the default one at one moment; `digest` tells it from all else.

    None when an account is unknown, or its key can no longer be decrypted.
    """

    entry: AccountEntry | None
    default: AccountEntry | None
    digest: str


class AccountStore:
    """Accounts by name; the upstream key goes in and comes out for the upstream client alone."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def said(self, name: str) -> Said:
        """Return what is said of the account; `turn.lua` makes the same digest of it."""
        values = await self._store.ask("HMGET", keys.ACCOUNTS, name, DEFAULT_ACCOUNT)
        entry, default = (
            None if value is None else self._read(one, orjson.loads(value))
            for one, value in zip((name, DEFAULT_ACCOUNT), values, strict=True)
        )
        digest = sha1(b"\n".join(value or b"" for value in values), usedforsecurity=False).hexdigest()
        return Said(entry, default, digest)

    async def heeded(self, name: str) -> bool:
        """Return whether nobody polls by anything older than what is said of the account now; else have it heard.

        It is so when nobody holds its lane: the next holder is granted nothing before it has read what is said. A
        holder that tells "" knows of no account, and polls nothing.
        """
        lane = LaneName(LaneKind.POLL, name)
        holder, heeded = await self._store.ask("HMGET", keys.lane(lane), "holder", "said")
        if holder is None or heeded in {b"", (await self.said(name)).digest.encode()}:
            return True
        await self._store.ask("PUBLISH", keys.STIR, str(lane))
        return False

    async def polled(self) -> list[str]:
        """Return the accounts whose polls somebody works, or is to work."""
        lanes, polls = await self._store.ask("ZRANGE", keys.LANES, 0, -1), f"{LaneKind.POLL}:".encode()
        return [lane.removeprefix(polls).decode() for lane in lanes if lane.startswith(polls)]

    async def any(self) -> bool:
        """Return whether the operator has added one."""
        return bool(await self._store.ask("EXISTS", keys.ACCOUNTS))

    async def all(self) -> dict[str, AccountEntry | None]:
        """Return every account by its name, None for one whose key can no longer be decrypted."""
        found = await self._store.ask("HGETALL", keys.ACCOUNTS)
        written = {name.decode(): orjson.loads(value) for name, value in zip(found[::2], found[1::2], strict=True)}
        return {name: self._read(name, fields) for name, fields in written.items()}

    async def has(self, name: str) -> bool:
        """Return whether the operator has added it."""
        return bool(await self._store.ask("HEXISTS", keys.ACCOUNTS, name))

    async def put(self, account: AccountEntry | Account) -> bool:
        """Save the account; return whether it is new."""
        made: int = await self._store.ask("HSET", keys.ACCOUNTS, account.name, orjson.dumps(self._written(account)))
        return made == 1

    async def delete(self, name: str) -> bool:
        """Forget the account; return whether there was one. Its pending tasks wait until it is added again."""
        gone: int = await self._store.ask("HDEL", keys.ACCOUNTS, name)
        return gone == 1

    def _written(self, account: AccountEntry | Account) -> dict[str, Any]:
        return {
            "upstream_url": account.upstream_url,
            "api_key": self._vault.lock(f"account:{account.name}", account.api_key),
            "limit": None if account.limit is None else str(account.limit),
            "limit_said_at": account.limit_said_at,
            "share": account.share,
            "daily_limit": account.daily_limit,
            "clients": None if account.clients is None else sorted(account.clients),
        }

    def _read(self, name: str, fields: dict[str, Any]) -> AccountEntry | None:
        api_key = self._vault.unlock(f"account:{name}", fields["api_key"])
        if api_key is None:
            return None
        return AccountEntry(
            name=name,
            upstream_url=fields["upstream_url"],
            api_key=api_key,
            limit=None if fields["limit"] is None else Limit.parse(fields["limit"]),
            limit_said_at=fields["limit_said_at"],
            share=fields["share"],
            daily_limit=fields["daily_limit"],
            clients=None if fields["clients"] is None else frozenset(fields["clients"]),
        )
