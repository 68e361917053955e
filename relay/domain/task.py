"""Task: what the upstream works on, polled once for everybody who waits.

Rule: whatever moves a task stands in `MOVES` and goes through `_moved`; nothing else sets its state.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from relay.domain.answer import Answer, AnswerKind
from relay.domain.errors import IllegalMoveError
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.suspicion import KILLS_WORKER


class TaskState(StrEnum):
    """What a task waits for.

    pending: for the upstream; it is in its account's lane. final: for nothing, the upstream said how it ended.
    rejected: for nothing, the upstream refuses this id for good, or asking about it kills the worker. abandoned: for
    somebody to register for it again, as all who waited have cancelled or expired. All but pending get a time to live.
    """

    PENDING = "pending"
    FINAL = "final"
    REJECTED = "rejected"
    ABANDONED = "abandoned"


class TaskMove(StrEnum):
    """What can happen to a task."""

    FINISHED = "finished"
    REFUSED = "refused"
    CONDEMNED = "condemned"
    LEFT = "left"
    JOINED = "joined"


MOVES: dict[TaskState, dict[TaskMove, TaskState]] = {
    TaskState.PENDING: {
        TaskMove.FINISHED: TaskState.FINAL,
        TaskMove.REFUSED: TaskState.REJECTED,
        TaskMove.CONDEMNED: TaskState.REJECTED,
        TaskMove.LEFT: TaskState.ABANDONED,
        TaskMove.JOINED: TaskState.PENDING,
    },
    TaskState.FINAL: {},
    TaskState.REJECTED: {},
    TaskState.ABANDONED: {TaskMove.JOINED: TaskState.PENDING},
}


@dataclass(frozen=True, slots=True)
class TaskName:
    """A task is named by (account, operation, RequestID)."""

    account: str
    operation: Operation
    request_id: str


@dataclass(frozen=True, slots=True)
class Looks:
    """What the polls so far have shown; written in batches, it must outlive the lane's holder.

    `polls` counts those that were answered usably, `last_at` is the last of them, `refusals` counts the refusals of
    this id in a row and `refused_at` is the first of those, `overtaken_at` is when a later task was first seen final,
    `eta_at` is by when it was expected, at the last look, to end with even odds, and `next_at` when to be looked at
    again. `first_at` is when it was first looked at. Times are Unix seconds.
    """

    polls: int = 0
    last_at: float | None = None
    refusals: int = 0
    refused_at: float | None = None
    overtaken_at: float | None = None
    eta_at: float | None = None
    next_at: float | None = None
    first_at: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task's record. `waiters` are the ids of the registrations that wait for it; times are Unix seconds.

    `client` is who registered for it first, `deadline_at` the earliest deadline of its waiters, `errored_at` when a
    retryable ERROR was first seen, `traceparent` the span that its polls belong to, if it is traced.
    """

    name: TaskName
    registered_at: float
    deadline_at: float
    waiters: tuple[str, ...]
    client: str = ""
    submitted_at: float | None = None
    state: TaskState = TaskState.PENDING
    looks: Looks = field(default_factory=Looks)
    errored_at: float | None = None
    outcome: TaskOutcome | None = None
    reason: str | None = None
    final_at: float | None = None
    traceparent: str | None = None
    version: int = 0

    @property
    def settled(self) -> bool:
        """Whether the upstream has spoken for good."""
        return self.state in {TaskState.FINAL, TaskState.REJECTED}


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """How answers are weighed.

    `error_grace_s` holds a retryable ERROR for so long before it is believed. A task is rejected after `refusals`
    refusals in a row when meanwhile another id of the account was answered.
    """

    error_grace_s: float = 0.0
    refusals: int = 5


_FIRST_REST_S, _LONGEST_REST_S = 0.5, 60.0


def rest_s(task: Task) -> float:
    """Return for how long not to poll the task again: a refused id must not spend the budget of the others."""
    if task.looks.refusals == 0:
        return 0.0
    return min(_FIRST_REST_S * 2.0 ** min(task.looks.refusals - 1, 16), _LONGEST_REST_S)


def after_poll(task: Task, answer: Answer, policy: AnswerPolicy, *, now: float, answered_at: float | None) -> Task:
    """Return the task after one answer.

    `answered_at` is when the account last had a usable answer for any id: it tells a refusal of this id from a
    refusal of the account.
    """
    if answer.kind is AnswerKind.FINAL:
        return _after_final(task, answer, policy, now)
    if answer.kind is AnswerKind.PENDING:
        return replace(task, looks=_looked(task.looks, now), errored_at=None)
    if answer.kind is AnswerKind.REJECTED:
        return _after_refusal(task, answer, policy, now, answered_at)
    return task


def _looked(looks: Looks, now: float) -> Looks:
    return Looks(polls=looks.polls + 1, last_at=now, overtaken_at=looks.overtaken_at, first_at=looks.first_at or now)


def _after_final(task: Task, answer: Answer, policy: AnswerPolicy, now: float) -> Task:
    task = replace(task, looks=_looked(task.looks, now))
    if answer.retryable_error and policy.error_grace_s > 0:
        errored_at = task.errored_at if task.errored_at is not None else now
        if now < errored_at + policy.error_grace_s:
            return replace(task, errored_at=errored_at)
    return replace(_moved(task, TaskMove.FINISHED), outcome=answer.outcome, final_at=now)


def _after_refusal(task: Task, answer: Answer, policy: AnswerPolicy, now: float, answered_at: float | None) -> Task:
    refused_at = task.looks.refused_at if task.looks.refused_at is not None else now
    looks = replace(task.looks, refusals=task.looks.refusals + 1, refused_at=refused_at)
    task = replace(task, looks=looks)
    witnessed = answered_at is not None and answered_at >= refused_at
    if looks.refusals < policy.refusals or not witnessed:
        return task
    refused = _moved(task, TaskMove.REFUSED)
    return replace(refused, outcome=TaskOutcome.REJECTED, reason=answer.detail, final_at=now)


def after_condemnation(task: Task, *, now: float) -> Task:
    """Return the task when its polls have killed the worker too often: it is not asked about any more."""
    condemned = _moved(task, TaskMove.CONDEMNED)
    return replace(condemned, outcome=TaskOutcome.REJECTED, reason=KILLS_WORKER, final_at=now)


def after_join(
    task: Task, registration_id: str, *, deadline_at: float, submitted_at: float | None, traceparent: str | None = None
) -> Task:
    """Return the task when one more registration waits for it. A settled task is not joined."""
    deadlines = [deadline_at, task.deadline_at] if task.waiters else [deadline_at]
    return replace(
        _moved(task, TaskMove.JOINED),
        waiters=(*task.waiters, registration_id),
        deadline_at=min(deadlines),
        submitted_at=task.submitted_at if task.submitted_at is not None else submitted_at,
        traceparent=task.traceparent or traceparent,
    )


def after_leave(task: Task, left: frozenset[str], *, deadline_at: float | None) -> Task:
    """Return the task when the registrations `left` no longer wait; `deadline_at` is the earliest of the others'."""
    waiters = tuple(waiter for waiter in task.waiters if waiter not in left)
    if waiters and deadline_at is not None:
        return replace(task, waiters=waiters, deadline_at=deadline_at)
    return replace(_moved(task, TaskMove.LEFT), waiters=())


def _moved(task: Task, move: TaskMove) -> Task:
    after = MOVES[task.state].get(move)
    if after is None:
        raise IllegalMoveError(task.state, move)
    return replace(task, state=after)
