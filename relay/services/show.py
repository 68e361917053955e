"""Show: a registration as it stands, with its task."""

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
    known = is_registration_id(registration_id)
    registration = await relay.store.registration(registration_id) if known else None
    if registration is None or not caller.sees(registration.client):
        raise NotFoundError("there is no such registration")
    return await with_task(relay, registration)


async def with_task(relay: Relay, registration: Registration) -> Shown:
    """Return the registration with its task; one whose task has just been settled shows as due."""
    task = await relay.store.task(registration.task_name)
    status = await relay.store.task_status(registration.task_name)
    if registration.state is RegistrationState.PENDING and task is not None and task.settled:
        registration = after_task(registration, task)
    return Shown(registration, task, status)
