"""Cancel: a client wants no callback any more, and a task for which nobody waits is polled no more."""

from relay import log
from relay.context import Relay
from relay.domain.caller import Caller
from relay.domain.errors import StoreUnavailableError
from relay.domain.event import EventName
from relay.domain.registration import Registration, RegistrationState, after_cancel
from relay.domain.task import Task, TaskState, after_leave
from relay.services.show import seen
from relay.store import keys
from relay.store.write import Write

TRIES = 50

logger = log.get(__name__)


async def cancel(relay: Relay, caller: Caller, registration_id: str, *, now: float) -> Registration:
    """Cancel a registration that the caller sees, and return it as it was written.

    Whoever is about to deliver it finds its own write refused: at most the attempt under way reaches the receiver.
    Raises NotFoundError, IllegalMoveError when it is settled, StoreUnavailableError.
    """
    for _ in range(TRIES):
        registration = await seen(relay, caller, registration_id)
        cancelled = after_cancel(registration, now=now)
        waiting = registration.state is RegistrationState.PENDING
        task = await relay.store.task(registration.task_name) if waiting else None
        if await relay.store.commit(_cancelling(cancelled, task, now)) is None:
            logger.info("cancelled", registration=registration_id, client=cancelled.client)
            return cancelled
    raise StoreUnavailableError("too many changes of one registration at once")


def _cancelling(cancelled: Registration, task: Task | None, now: float) -> Write:
    write = Write()
    write.registration(cancelled, now=now, events=(EventName.CANCELLED,))
    if task is not None and task.state is TaskState.PENDING:
        # Its deadline may now be too early, for which it is only looked at once more.
        left = after_leave(task, frozenset({cancelled.id}), deadline_at=task.deadline_at)
        write.task(left)
        if left.state is TaskState.ABANDONED:
            write.expire(keys.status(task.name))
    return write
