"""AccountStore: the accounts that the operator has added, their keys encrypted."""

from typing import Any

import orjson

from relay.domain.account import Account, AccountEntry
from relay.domain.budget import Limit
from relay.store import keys
from relay.store.store import Store
from relay.store.vault import Vault


class AccountStore:
    """Accounts by name; the upstream key goes in and comes out for the upstream client alone."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def get(self, name: str) -> AccountEntry | None:
        """Return the account, or None when it is unknown or its key can no longer be decrypted."""
        value = await self._store.ask("HGET", keys.ACCOUNTS, name)
        return None if value is None else self._read(name, orjson.loads(value))

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
