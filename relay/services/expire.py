"""Expire: registrations whose deadline passed before their task was settled are called back all the same."""

from relay import crash
from relay.context import Relay
from relay.crash import Point
from relay.domain import message
from relay.domain.registration import Registration, RegistrationState, after_deadline
from relay.domain.task import Task, TaskName, TaskState, after_leave
from relay.store import keys
from relay.store.write import Fence, Write

TRIES = 20


async def expire(relay: Relay, fence: Fence, name: TaskName, *, fresh_status: bytes | None, now: float) -> Task | None:
    """Make due those of the task's waiters whose deadline has passed; return the task as it stands, if there is one.

    `fresh_status` is a TaskStatus seen since the lane's last turn. Raises FencedError and StoreUnavailableError.
    """
    for _ in range(TRIES):
        task = await relay.store.task(name)
        if task is None or task.state is not TaskState.PENDING or task.deadline_at > now:
            return task
        found = await relay.store.registrations(task.waiters)
        waiting = [registration for registration in found if registration.state is RegistrationState.PENDING]
        late = [registration for registration in waiting if registration.deadline_at <= now]
        others = {one.id: one.deadline_at for one in waiting if one.deadline_at > now}
        gone = frozenset(task.waiters) - others.keys()
        left = after_leave(task, gone, deadline_at=min(others.values(), default=None))
        status = fresh_status or await relay.store.task_status(name)
        crash.reached(Point.EXPIRE_DECIDED, name.request_id)
        if await relay.store.commit(_expiring(fence, left, late, status, now)) is None:
            crash.reached(Point.EXPIRE_COMMITTED, name.request_id)
            return await relay.store.task(name)
    return await relay.store.task(name)


def _expiring(fence: Fence, task: Task, late: list[Registration], status: bytes | None, now: float) -> Write:
    write = Write(fence)
    write.task(task)
    for registration in late:
        expired = after_deadline(registration, now=now)
        write.blob(keys.body(registration.id), message.body(expired, status), kept=True)
        write.registration(expired, now=now)
    if not task.waiters and status is not None:
        write.blob(keys.status(task.name), status, kept=False)
    return write
