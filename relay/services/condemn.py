"""Condemn: what has killed its worker too often is settled, so that the rest can go on."""

from relay import log, metrics
from relay.context import Relay
from relay.domain import message
from relay.domain import registration as registrations
from relay.domain import task as tasks
from relay.domain.event import EventName
from relay.domain.registration import DeathReason, Registration, RegistrationState, after_task
from relay.domain.task import TaskName, TaskState
from relay.services.poll import deciding
from relay.store import keys
from relay.store.keys import LaneKind
from relay.store.write import Fence, Write

TRIES = 20

logger = log.get(__name__)


async def condemn_task(relay: Relay, fence: Fence, name: TaskName, *, now: float) -> None:
    """Reject a task whose polls kill: its waiters are called back. Raises FencedError and StoreUnavailableError."""
    for _ in range(TRIES):
        task = await relay.store.task(name)
        if task is None or task.state is not TaskState.PENDING:
            return
        condemned = tasks.after_condemnation(task, now=now)
        write = await deciding(relay, fence, condemned, await relay.store.task_status(name))
        if await relay.store.commit(write) is None:
            _tell(LaneKind.POLL, account=name.account, request_id=name.request_id)
            return


async def condemn_delivery(relay: Relay, fence: Fence, registration_id: str, *, now: float) -> None:
    """Give up a registration whose delivery kills. Raises FencedError and StoreUnavailableError."""
    for _ in range(TRIES):
        registration = await relay.store.registration(registration_id)
        if registration is None or registration.settled:
            return
        if registration.state is RegistrationState.PENDING:
            task = await relay.store.task(registration.task_name)
            if task is None or not task.settled:
                return
            registration = after_task(registration, task)
        write = Write(fence)
        if await relay.store.body(registration_id) is None:  # so that it can be redelivered
            write.blob(keys.body(registration_id), await _body(relay, registration), kept=True)
        write.registration(registrations.after_condemnation(registration), now=now, events=(EventName.DEAD,))
        if await relay.store.commit(write) is None:
            metrics.DELIVERIES_DEAD.labels(DeathReason.KILLS_WORKER).inc()
            _tell(LaneKind.DELIVERY, account=registration.task_name.account, registration=registration_id)
            return


async def _body(relay: Relay, registration: Registration) -> bytes:
    return message.body(registration, await relay.store.task_status(registration.task_name))


def _tell(kind: LaneKind, **what: str) -> None:
    metrics.CONDEMNED.labels(kind).inc()
    logger.error("condemned", kind=kind, **what)
