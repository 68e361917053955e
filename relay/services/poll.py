"""Poll: ask the upstream once, and commit what its answer means."""

import time
from dataclasses import dataclass, replace

from relay import metrics, traces
from relay.clients.upstream import UpstreamClient
from relay.context import Relay
from relay.domain.account import Account
from relay.domain.answer import Answer, AnswerKind
from relay.domain.registration import RegistrationState, after_task
from relay.domain.task import Task, TaskState, after_poll
from relay.store import keys
from relay.store.write import Fence, Write

TRIES = 20
BROKEN_OFF = Answer(
    AnswerKind.TIMEOUT
)  # the lane ended before the answer came: the upstream has counted the call all the same


@dataclass(frozen=True, slots=True)
class Asker:
    """Who polls: the account and its client."""

    account: Account
    upstream: UpstreamClient


async def ask(asker: Asker, task: Task) -> Answer:
    """Ask the upstream once; count, time and trace it."""
    started, answer = time.monotonic(), BROKEN_OFF
    with traces.calling("poll", task.traceparent) as span:
        try:
            answer = await asker.upstream.ask(asker.account, task.name)
        finally:
            metrics.UPSTREAM_DURATION.observe(time.monotonic() - started)
            metrics.BY_ACCOUNT.answered(asker.account.name, answer.kind, answer.shape)
            span.note(account=asker.account.name, operation=task.name.operation, outcome=answer.kind)
    return answer


async def settle(
    relay: Relay, fence: Fence, task: Task, answer: Answer, *, answered_at: float | None, now: float, polls: str = ""
) -> Task | None:
    """Commit what the answer means and return the task as it stands, or None when there is no such task any more.

    A task that only was looked at is not written here: its looks and status go with the lane's next turn. `polls` are
    the last of its trail, this one included. Raises FencedError and StoreUnavailableError.
    """
    for _ in range(TRIES):
        decided = after_poll(task, answer, relay.answers, now=now, answered_at=answered_at)
        moved = decided.state is not task.state or decided.errored_at != task.errored_at
        conflict = (
            await relay.store.commit(await deciding(relay, fence, decided, answer.task_status, polls=polls))
            if moved
            else None
        )
        if conflict is None:
            _observe(task, decided, now)
            return replace(decided, version=decided.version + 1) if moved else decided
        current = conflict.task(task.name)
        if current is None or current.state is not TaskState.PENDING:
            return current
        task = replace(current, looks=task.looks)
    return task


async def deciding(relay: Relay, fence: Fence, decided: Task, task_status: bytes | None, *, polls: str = "") -> Write:
    """Return the write of a task that has moved, with its TaskStatus and, once settled, all who wait for it."""
    write = Write(fence)
    found = await relay.store.registrations(decided.waiters) if decided.settled else []
    waiting = [registration for registration in found if registration.state is RegistrationState.PENDING]
    write.task(decided, waiting=[after_task(registration, decided) for registration in waiting], polls=polls)
    if task_status is not None:
        write.blob(keys.status(decided.name), task_status, kept=not decided.settled)
    return write


def _observe(task: Task, decided: Task, now: float) -> None:
    if not decided.settled or task.settled:
        return
    metrics.POLLS_PER_TASK.observe(decided.looks.polls)
    if decided.state is TaskState.FINAL:
        metrics.DETECTION_LAG.observe(now - (task.looks.last_at or task.registered_at))
    metrics.REGISTRATION_TO_FINAL.observe(now - task.registered_at)


def tells_of_the_task(answer: Answer) -> bool:
    """Whether the answer says how the task stands, rather than how the upstream does."""
    return answer.kind in {AnswerKind.PENDING, AnswerKind.FINAL, AnswerKind.REJECTED}
