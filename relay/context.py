"""Relay: what a process holds, opened and closed in one place."""

import asyncio
import os
import secrets
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from relay import log, metrics
from relay.clients.callback import CallbackClient
from relay.domain.account import DEFAULT_ACCOUNT, Account
from relay.domain.circuit import CircuitPolicy
from relay.domain.delivery import RetryPolicy
from relay.domain.destination import DestinationPolicy
from relay.domain.errors import SettingError, StoreNotDurableError
from relay.domain.gate import GatePolicy
from relay.domain.quota import Crowd
from relay.domain.suspicion import SuspicionPolicy
from relay.domain.task import AnswerPolicy
from relay.settings import Settings
from relay.store.accounts import AccountStore
from relay.store.clients import ClientStore
from relay.store.deliveries import DeliveryStore
from relay.store.dialing import connection_pool
from relay.store.events import Events
from relay.store.index import Index
from relay.store.lanes import LaneStore
from relay.store.opening import weaknesses
from relay.store.pauses import PauseStore
from relay.store.room import Room
from relay.store.store import Store
from relay.store.suspects import SuspectStore
from relay.store.vault import Vault

ACCOUNT_FRESH_S = 2.0
LAG_MEASURED_EACH_S, LAG_KEPT_S = 0.25, 30.0

logger = log.get(__name__)


@dataclass
class Relay:
    """A process's parts. `accounts` is the operator's; `account` is what to ask for one.

    `on_trial` is what has been under way when workers died and is being tried: one thing at a time in a process.
    """

    settings: Settings
    store: Store
    index: Index
    events: Events
    lanes: LaneStore
    suspects: SuspectStore
    room: Room
    deliveries: DeliveryStore
    accounts: AccountStore
    clients: ClientStore
    pauses: PauseStore
    callbacks: CallbackClient
    destinations: DestinationPolicy
    tls: ssl.SSLContext
    holder: str
    answers: AnswerPolicy
    gates: GatePolicy = field(default_factory=GatePolicy)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    suspicion: SuspicionPolicy = field(default_factory=SuspicionPolicy)
    on_trial: set[str] = field(default_factory=set)
    crowds: dict[str, Crowd] = field(default_factory=dict)
    circuits: CircuitPolicy = field(default_factory=CircuitPolicy)
    clock: Callable[[], float] = time.time  # the deliveries' (Unix seconds)
    _fresh: dict[str, tuple[float, Account]] = field(default_factory=dict)

    async def account(self, name: str) -> Account | None:
        """Return an account, at most two seconds old, or None when there is no such account."""
        seen_at, account = self._fresh.get(name, (0.0, None))
        if account is None or time.monotonic() - seen_at > ACCOUNT_FRESH_S:
            account = await self._asked_account(name)
            self._fresh.pop(name, None)
            if account is not None:
                self._fresh[name] = (time.monotonic(), account)
        return account

    async def _asked_account(self, name: str) -> Account | None:
        said, account = await self.accounts.said(name), self.default_account()
        if said.default is not None:
            account = said.default.completed(account)
        if name != DEFAULT_ACCOUNT:
            account = None if said.entry is None else said.entry.completed(account)
        return None if account is None else replace(account, said=said.digest)

    def forget_accounts(self) -> None:
        """Ask the store again for each account next time: any may hang on the default one."""
        self._fresh.clear()

    def default_account(self) -> Account | None:
        """Return the default account as the settings give it, None when they do not."""
        settings = self.settings
        if settings.upstream_url is None or settings.upstream_api_key is None:
            return None
        return Account(
            name=DEFAULT_ACCOUNT,
            upstream_url=settings.upstream_url,
            api_key=settings.upstream_api_key.get_secret_value(),
            limit=settings.upstream_limit,
            share=settings.upstream_share,
            daily_limit=settings.upstream_daily_limit,
            status_path=settings.upstream_status_path,
        )


@asynccontextmanager
async def open_relay(settings: Settings) -> AsyncIterator[Relay]:
    """Open what a process needs; close it in reverse.

    Raises SettingError when something is missing, StoreUnavailableError when the store does not answer and
    StoreNotDurableError when it would lose acknowledged writes and that is not allowed.
    """
    store = Store(connection_pool(_needed(settings)), wait_replicas=settings.store_wait_replicas)
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    destinations = DestinationPolicy(allow=settings.callback_allow, ports=settings.callback_ports)
    callbacks = CallbackClient(destinations, deadline_s=settings.callback_timeout_s)
    watching = asyncio.create_task(_watch_loop())
    try:
        await _check_durability(store, allow_degraded=settings.allow_degraded)
        yield Relay(
            settings=settings,
            store=store,
            index=Index(store),
            events=Events(store),
            lanes=LaneStore(store, holder),
            suspects=SuspectStore(store),
            room=Room(store),
            deliveries=DeliveryStore(store),
            accounts=AccountStore(store, Vault(tuple(key.get_secret_value() for key in settings.encryption_keys))),
            clients=ClientStore(store),
            pauses=PauseStore(store),
            callbacks=callbacks,
            destinations=destinations,
            tls=ssl.create_default_context(),
            holder=holder,
            answers=AnswerPolicy(error_grace_s=settings.upstream_error_grace_s),
        )
    finally:
        watching.cancel()
        await callbacks.aclose()
        await store.aclose()


def _needed(settings: Settings) -> str:
    missing = [
        f"RELAY_{name.upper()}: it is missing; {hint}"
        for name, hint in (
            ("redis_url", "for an embedded server use `relay run`"),
            ("signing_secret", "make one with `relay doctor --new-secret`"),
            ("encryption_keys", "make one with `relay doctor --new-encryption-key`"),
        )
        if not getattr(settings, name)
    ]
    if missing or settings.redis_url is None:
        raise SettingError("\n".join(missing))
    return settings.redis_url.get_secret_value()


async def _check_durability(store: Store, *, allow_degraded: bool) -> None:
    found = await weaknesses(store)
    if not found:
        return
    if not allow_degraded:
        raise StoreNotDurableError(found)
    logger.warning("store_degraded", weaknesses=found)


async def _watch_loop() -> None:
    """Measure how late the event loop runs its timers, and count its tasks."""
    loop = asyncio.get_running_loop()
    lags_s = deque[float](maxlen=round(LAG_KEPT_S / LAG_MEASURED_EACH_S))
    while True:
        due_at = loop.time() + LAG_MEASURED_EACH_S
        await asyncio.sleep(LAG_MEASURED_EACH_S)
        lags_s.append(max(0.0, loop.time() - due_at))
        metrics.EVENT_LOOP_LAG.set(max(lags_s))
        metrics.EVENT_LOOP_TASKS.set(len(asyncio.all_tasks()))
