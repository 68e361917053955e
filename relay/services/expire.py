"""Expire: registrations whose deadline passed before their task was settled are called back all the same."""

from relay import crash, log
from relay.context import Relay
from relay.crash import Point
from relay.domain import message
from relay.domain.event import EventName
from relay.domain.operations import TaskOutcome
from relay.domain.outage import Outages
from relay.domain.registration import Registration, RegistrationState, after_deadline
from relay.domain.task import Task, TaskName, TaskState, after_leave
from relay.store import keys
from relay.store.write import Fence, Write

TRIES = 20
UNREADABLE_WAITS_S = 3_600.0  # what has a deadline that nobody can read waits on, as its task may end

logger = log.get(__name__)


async def expire(
    relay: Relay, fence: Fence, name: TaskName, *, outages: Outages, fresh_status: bytes | None, now: float
) -> tuple[Task | None, float | None]:
    """Make due those of the task's waiters whose deadline has passed.

    Returns the task as it stands, if there is one, and when the next of its waiters' deadlines passes, if one will.
    `outages` give their time back to a deadline; `fresh_status` is a TaskStatus seen since the lane's last turn. Raises
    FencedError and StoreUnavailableError.
    """
    for _ in range(TRIES):
        task = await relay.store.task(name)
        if task is None or task.state is not TaskState.PENDING or task.deadline_at > now:
            break
        found = await relay.store.registrations_by_id(task.waiters)
        waiting = [one for one in found.values() if one is not None and one.state is RegistrationState.PENDING]
        passes_at = {one.id: outages.extended(one.deadline_at, since=one.registered_at) for one in waiting}
        others = {one.id: one.deadline_at for one in waiting if passes_at[one.id] > now}
        unreadable = {id_: now + UNREADABLE_WAITS_S for id_, one in found.items() if one is None}
        passes_at |= unreadable
        others |= unreadable
        next_at = min((passes_at[id_] for id_ in others), default=None)
        gone = frozenset(task.waiters) - others.keys()
        if not gone:
            return task, next_at
        left = after_leave(task, gone, deadline_at=min(others.values(), default=None))
        late = [registration for registration in waiting if registration.id in gone]
        status = fresh_status or await relay.store.task_status(name)
        crash.reached(Point.EXPIRE_DECIDED, name.request_id)
        if await relay.store.commit(_expiring(fence, left, late, status, now)) is None:
            crash.reached(Point.EXPIRE_COMMITTED, name.request_id)
            for registration in late:
                logger.info("final", registration=registration.id, outcome=TaskOutcome.EXPIRED, polls=task.looks.polls)
            return await relay.store.task(name), next_at
    return await relay.store.task(name), None


def _expiring(fence: Fence, task: Task, late: list[Registration], status: bytes | None, now: float) -> Write:
    write = Write(fence)
    write.task(task)
    for registration in late:
        expired = after_deadline(registration, now=now)
        write.blob(keys.body(registration.id), message.body(expired, status), kept=True)
        write.registration(expired, now=now, events=(EventName.FINAL,))
    if not task.waiters and status is not None:
        write.blob(keys.status(task.name), status, kept=False)
    return write
