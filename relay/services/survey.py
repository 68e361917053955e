"""Survey: the accounts as they stand: what was said of each, what was learned, what waits, and whether it is paused."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from relay.context import Relay
from relay.domain.account import DEFAULT_ACCOUNT, Account, LearnedLimit
from relay.domain.budget import Limit
from relay.domain.gate import Pause
from relay.store.counts import waiting_for

_AT_ONCE = 200


class Origin(StrEnum):
    """Where an account comes from."""

    SETTINGS = "settings"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Standing:
    """An account as it stands. `account` is None when it cannot be used: its key cannot be read, or it has no URL.

    `pending` are tasks that wait for the upstream, `delivering` callbacks under way, `calls_in_use` slots of the
    budget that are held just now.
    """

    name: str
    origin: Origin
    account: Account | None
    pause: Pause | None
    learned: LearnedLimit | None
    pending: int
    delivering: int
    calls_in_use: int

    @property
    def limit_learned(self) -> Limit | None:
        """The limit that a refusal has named, unless the operator has said another since."""
        if self.account is None or self.learned is None or not self.learned.holds_for(self.account):
            return None
        return self.learned.limit

    @property
    def limit_in_use(self) -> Limit | None:
        """What the relay keeps to."""
        return None if self.account is None else self.account.limit_in_use(self.learned)


async def survey(relay: Relay) -> list[Standing]:
    """Return every account, by name. Raises StoreUnavailableError."""
    accounts, pauses = await _accounts(relay), await relay.pauses.all()
    names, found = sorted(accounts), list[Standing]()
    for first in range(0, len(names), _AT_ONCE):
        some = names[first : first + _AT_ONCE]
        found += await asyncio.gather(*(_standing(relay, name, *accounts[name], pauses.get(name)) for name in some))
    return found


async def _accounts(relay: Relay) -> dict[str, tuple[Origin, Account | None]]:
    default, entries = relay.default_account(), await relay.accounts.all()
    found: dict[str, tuple[Origin, Account | None]] = {}
    if default is not None:
        found[DEFAULT_ACCOUNT] = Origin.SETTINGS, default
    if (over := entries.get(DEFAULT_ACCOUNT)) is not None:
        default = over.completed(default)
    for name, entry in entries.items():
        found[name] = Origin.ADDED, None if entry is None else entry.completed(default)
    return found


async def stand(relay: Relay, name: str) -> Standing | None:
    """Return one account, or None when there is no such account. Raises StoreUnavailableError."""
    relay.forget_accounts()
    account = await relay.account(name)
    added = await relay.accounts.has(name)
    if account is None and not added:
        return None
    origin = Origin.ADDED if added else Origin.SETTINGS
    return await _standing(relay, name, origin, account, await relay.pauses.get(name))


async def _standing(relay: Relay, name: str, origin: Origin, account: Account | None, pause: Pause | None) -> Standing:
    learned, (pending, delivering), calls_in_use = await asyncio.gather(
        relay.lanes.learned(name), waiting_for(relay.store, name), relay.lanes.slots_in_use(name)
    )
    return Standing(name, origin, account, pause, learned, pending, delivering, calls_in_use)
