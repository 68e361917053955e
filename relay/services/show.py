"""Show: a registration as it stands, with its task."""

import asyncio
from dataclasses import dataclass

from relay.context import Relay
from relay.domain.caller import Caller
from relay.domain.errors import NotFoundError
from relay.domain.registration import Registration, RegistrationState, after_task, is_registration_id
from relay.domain.task import Task


@dataclass(frozen=True, slots=True)
class Shown:
    """A registration, its task if that is still kept, and the task's last TaskStatus (JSON bytes)."""

    registration: Registration
    task: Task | None
    task_status: bytes | None


async def show(relay: Relay, caller: Caller, registration_id: str) -> Shown:
    """Return a registration that the caller sees. Raises NotFoundError, for another client's too."""
    return await with_task(relay, await seen(relay, caller, registration_id))


async def seen(relay: Relay, caller: Caller, registration_id: str) -> Registration:
    """Return a registration that the caller sees, as it is written. Raises NotFoundError, for another client's too."""
    known = is_registration_id(registration_id)
    registration = await relay.store.registration(registration_id) if known else None
    if registration is None or not caller.sees(registration.client):
        raise NotFoundError("there is no such registration")
    return registration


async def with_task(relay: Relay, registration: Registration) -> Shown:
    """Return the registration with its task; one whose task has just been settled shows as due."""
    name = registration.task_name
    return _shown(registration, await relay.store.task(name), await relay.store.task_status(name))


async def with_tasks(relay: Relay, registrations: list[Registration]) -> list[Shown]:
    """Return each registration with its task, in a few calls of the store for all of them."""
    names = list({registration.task_name for registration in registrations})
    tasks, statuses = await asyncio.gather(relay.store.tasks(names), relay.store.task_statuses(names))
    return [_shown(one, tasks.get(one.task_name), statuses[one.task_name]) for one in registrations]


def _shown(registration: Registration, task: Task | None, task_status: bytes | None) -> Shown:
    if registration.state is RegistrationState.PENDING and task is not None and task.settled:
        registration = after_task(registration, task)
    return Shown(registration, task, task_status)
