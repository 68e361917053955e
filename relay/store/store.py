"""Store: the records, and the one way to write them."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import chain
from typing import Any, ParamSpec, TypeVar

from redis.asyncio import ConnectionPool, Redis

from relay import metrics
from relay.domain import trail
from relay.domain.errors import FencedError, UnreadableError
from relay.domain.registration import Registration
from relay.domain.task import Task, TaskName
from relay.domain.trail import Trail
from relay.store import keys, records
from relay.store.link import Link
from relay.store.scripts import Script, refusing
from relay.store.write import Write

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody wrote first: the present value of each record that was to be saved, by its key; b'' when absent."""

    current: dict[str, bytes]

    def task(self, name: TaskName) -> Task | None:
        """Return the task as it stands now, if there is one."""
        value = self.current.get(keys.task(name))
        return records.read_task(name, value) if value else None

    def registration(self, id_: str) -> Registration | None:
        """Return the registration as it stands now, if there is one."""
        value = self.current.get(keys.registration(id_))
        return records.read_registration(id_, value) if value else None


class Store:
    """The records. Every call raises StoreUnavailableError when the store does not answer within its time.

    Who asks for one record that cannot be read has an UnreadableError; who asks for several has the others.
    """

    def __init__(self, pool: ConnectionPool, *, wait_replicas: int = 0) -> None:
        self._pool = pool
        self.link = Link(pool, wait_replicas=wait_replicas)
        self._commit = Script(self.link, "commit")
        self._now = Script(self.link, "now")

    @property
    def wait_replicas(self) -> int:
        """How many replicas must have a write before it counts."""
        return self.link.wait_replicas

    async def aclose(self) -> None:
        await self.link.aclose()
        await self._pool.aclose()

    async def commit(self, write: Write) -> Conflict | None:
        """Do all of it at once and return None, or nothing and return the conflict. Raises FencedError."""
        script_keys, args = write.command()
        verdict, *current = await self._commit(script_keys, args)
        if verdict == b"fenced":
            metrics.FENCED_COMMITS.inc()
            raise FencedError(f"the lane {write.fence.lane if write.fence else ''} has another holder")
        if verdict == b"conflict":
            return Conflict({key: value for (key, _), value in zip(write.saved, current, strict=True)})
        return None

    async def now_ms(self) -> int:
        """Return the store's clock, which is never set back (`clock.lua`)."""
        now_ms: int = await self._now([], [])
        return now_ms

    async def ask(self, *command: Any) -> Any:
        """Send one plain reading command."""
        return await refusing(self.link.ask(*command))

    def subscription(self) -> AbstractAsyncContextManager[Any]:
        """Return a connection of its own on which to hear what is published."""
        return Redis(connection_pool=self._pool).pubsub()

    async def registration(self, id_: str) -> Registration | None:
        """Return the registration with this id, if there is one."""
        value = await self.ask("GET", keys.registration(id_))
        return None if value is None else records.read_registration(id_, value)

    async def registrations(self, ids: tuple[str, ...]) -> list[Registration]:
        """Return those of these registrations that there are and that can be read."""
        return [found for found in (await self.registrations_by_id(ids)).values() if found is not None]

    async def registrations_by_id(self, ids: tuple[str, ...]) -> dict[str, Registration | None]:
        """Return those of these registrations that there are, None for one that cannot be read."""
        values = await self.ask("MGET", *map(keys.registration, ids)) if ids else []
        found = ((id_, value) for id_, value in zip(ids, values, strict=True) if value is not None)
        return {id_: _readable(records.read_registration, id_, value) for id_, value in found}

    async def task(self, name: TaskName) -> Task | None:
        """Return the task with this name, if there is one."""
        value = await self.ask("GET", keys.task(name))
        if value is None:
            return None
        looks = await self.ask("HGET", keys.looks(name.account), keys.member(name))
        return records.read_task(name, value, looks)

    async def tasks(self, names: list[TaskName]) -> dict[TaskName, Task | None]:
        """Return those of these tasks that there are, with their looks; None for one that cannot be read."""
        if not names:
            return {}
        values = await self.ask("MGET", *(keys.task(name) for name in names))
        found = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        accounts = {name.account for name in found}
        looks = dict(chain.from_iterable(await asyncio.gather(*(self._looks(one, list(found)) for one in accounts))))
        return {name: _readable(records.read_task, name, value, looks[name]) for name, value in found.items()}

    async def _looks(self, account: str, names: list[TaskName]) -> list[tuple[TaskName, bytes | None]]:
        own = [name for name in names if name.account == account]
        looks = await self.ask("HMGET", keys.looks(account), *map(keys.member, own))
        return list(zip(own, looks, strict=True))

    async def task_statuses(self, names: list[TaskName]) -> dict[TaskName, bytes | None]:
        """Return the last TaskStatus of each of these tasks (JSON bytes), None where none has been seen."""
        values = await self.ask("MGET", *map(keys.status, names)) if names else []
        return dict(zip(names, values, strict=True))

    async def task_status(self, name: TaskName) -> bytes | None:
        """Return the task's last TaskStatus as the upstream sent it (JSON bytes), if it has been seen."""
        status: bytes | None = await self.ask("GET", keys.status(name))
        return status

    async def trail(self, name: TaskName) -> Trail:
        """Return when the task was asked about: before it was put down, and since."""
        before, since = await asyncio.gather(
            self.ask("GET", keys.trail(name)), self.ask("HGET", keys.trails(name.account), keys.member(name))
        )
        trails = [trail.read(text.decode()) for text in (before, since) if text is not None]
        return Trail(sum(one.left_out for one in trails), tuple(chain.from_iterable(one.polls for one in trails)))

    async def body(self, registration_id: str) -> bytes | None:
        """Return the callback's body, if the registration has become due."""
        body: bytes | None = await self.ask("GET", keys.body(registration_id))
        return body


def _readable(read: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Return what is read, or None when it cannot be."""
    try:
        return read(*args, **kwargs)
    except UnreadableError:
        return None
