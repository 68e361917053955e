"""What moves a task, and what a single answer, join or leave does to it."""

import pytest

from relay.domain.answer import Answer, AnswerKind
from relay.domain.errors import IllegalMoveError
from relay.domain.operations import TaskOutcome
from relay.domain.task import (
    MOVES,
    AnswerPolicy,
    Looks,
    Task,
    TaskMove,
    TaskState,
    after_join,
    after_leave,
    after_poll,
    rest_s,
)
from tests.support.builders import NOW, a_task

POLICY = AnswerPolicy()
PENDING = Answer(AnswerKind.PENDING, b'{"Status":"In-Queue"}')
SUCCESS = Answer(AnswerKind.FINAL, b'{"Status":"Success"}', TaskOutcome.SUCCEEDED)
ERROR = Answer(AnswerKind.FINAL, b'{"Status":"ERROR"}', TaskOutcome.ERRORED, retryable_error=True)
REFUSED = Answer(AnswerKind.REJECTED, detail="http 404")


def polled(task: Task, *answers: Answer, policy: AnswerPolicy = POLICY, answered_at: float | None = None) -> Task:
    """Return the task after these answers, one a second from `NOW` on."""
    for second, answer in enumerate(answers):
        task = after_poll(task, answer, policy, now=NOW + second, answered_at=answered_at)
    return task


def test_every_state_has_its_row_and_every_move_leads_somewhere() -> None:
    assert set(MOVES) == set(TaskState)
    assert {move for row in MOVES.values() for move in row} == set(TaskMove)
    reachable = {TaskState.PENDING} | {state for row in MOVES.values() for state in row.values()}
    assert reachable == set(TaskState)


@pytest.mark.parametrize("state", TaskState)
def test_a_task_is_settled_exactly_when_nothing_moves_it(state: TaskState) -> None:
    assert a_task(state=state).settled == (not MOVES[state])


def test_a_pending_answer_counts_as_a_look_and_ends_refusals_in_a_row() -> None:
    task = polled(a_task(), PENDING, REFUSED, PENDING)
    assert task == a_task(looks=Looks(polls=2, last_at=NOW + 2, first_at=NOW))


def test_a_look_remembers_that_a_later_task_was_seen_final() -> None:
    task = polled(a_task(looks=Looks(overtaken_at=NOW - 1)), PENDING)
    assert task.looks.overtaken_at == NOW - 1


@pytest.mark.parametrize("outcome", [TaskOutcome.SUCCEEDED, TaskOutcome.FAILED, TaskOutcome.ERRORED])
def test_a_final_answer_finishes_the_task(outcome: TaskOutcome) -> None:
    task = polled(a_task(), Answer(AnswerKind.FINAL, b"{}", outcome))
    assert (task.state, task.outcome, task.final_at, task.reason) == (TaskState.FINAL, outcome, NOW, None)
    assert task.looks == Looks(polls=1, last_at=NOW, first_at=NOW)


def test_a_retryable_error_is_believed_after_its_grace_and_not_before() -> None:
    policy = AnswerPolicy(error_grace_s=2.0)
    held = polled(a_task(), ERROR, ERROR, policy=policy)
    assert (held.state, held.errored_at, held.looks.polls) == (TaskState.PENDING, NOW, 2)
    believed = polled(a_task(), ERROR, ERROR, ERROR, policy=policy)
    assert (believed.state, believed.outcome, believed.final_at) == (TaskState.FINAL, TaskOutcome.ERRORED, NOW + 2)


def test_the_grace_begins_again_when_the_upstream_goes_on() -> None:
    policy = AnswerPolicy(error_grace_s=2.0)
    task = polled(a_task(), ERROR, PENDING, ERROR, policy=policy)
    assert (task.state, task.errored_at) == (TaskState.PENDING, NOW + 2)


def test_an_error_that_is_not_retried_and_any_other_end_have_no_grace() -> None:
    policy = AnswerPolicy(error_grace_s=3_600.0)
    for_good = Answer(AnswerKind.FINAL, b"{}", TaskOutcome.ERRORED, retryable_error=False)
    assert polled(a_task(), for_good, policy=policy).state is TaskState.FINAL
    assert polled(a_task(), ERROR, SUCCESS, policy=policy).outcome is TaskOutcome.SUCCEEDED


def test_the_fifth_refusal_rejects_a_task_when_another_was_answered_meanwhile() -> None:
    task = polled(a_task(), *[REFUSED] * 5, answered_at=NOW)
    assert (task.state, task.outcome, task.reason) == (TaskState.REJECTED, TaskOutcome.REJECTED, "http 404")
    assert task.final_at == NOW + 4


@pytest.mark.parametrize("answered_at", [None, NOW - 0.1])
def test_refusals_without_a_witness_since_the_first_may_be_the_accounts_fault(answered_at: float | None) -> None:
    task = polled(a_task(), *[REFUSED] * 50, answered_at=answered_at)
    assert (task.state, task.looks.refusals, task.looks.refused_at) == (TaskState.PENDING, 50, NOW)


def test_four_refusals_reject_nothing() -> None:
    assert polled(a_task(), *[REFUSED] * 4, answered_at=NOW + 9).state is TaskState.PENDING


@pytest.mark.parametrize(
    "kind",
    [AnswerKind.THROTTLED, AnswerKind.UNAUTHORIZED, AnswerKind.ERROR, AnswerKind.TIMEOUT, AnswerKind.UNUSABLE],
)
def test_an_answer_that_tells_nothing_of_the_task_changes_nothing(kind: AnswerKind) -> None:
    task = polled(a_task(), PENDING, REFUSED)
    assert polled(task, Answer(kind)) == task


@pytest.mark.parametrize("state", [TaskState.FINAL, TaskState.REJECTED, TaskState.ABANDONED])
def test_a_task_that_is_not_pending_cannot_be_finished(state: TaskState) -> None:
    with pytest.raises(IllegalMoveError, match=f"{state} cannot be finished"):
        polled(a_task(state=state), SUCCESS)


@pytest.mark.parametrize(("refusals", "seconds"), [(0, 0), (1, 0.5), (2, 1), (3, 2), (7, 32), (8, 60), (10_000, 60)])
def test_a_refused_task_rests_twice_as_long_each_time_up_to_a_minute(refusals: int, seconds: float) -> None:
    assert rest_s(a_task(looks=Looks(refusals=refusals))) == seconds


# ---------------------------------------------------------------------- joins and leaves


def test_who_joins_waits_too_and_the_earliest_deadline_holds() -> None:
    earlier = after_join(a_task(), "reg_b", deadline_at=NOW + 60, submitted_at=None)
    both = after_join(earlier, "reg_c", deadline_at=NOW + 7_200, submitted_at=None)
    assert both.waiters == (*a_task().waiters, "reg_b", "reg_c")
    assert both.deadline_at == NOW + 60


def test_the_first_to_know_says_when_the_task_was_submitted() -> None:
    known = after_join(a_task(), "reg_b", deadline_at=NOW, submitted_at=NOW - 5)
    assert known.submitted_at == NOW - 5
    assert after_join(known, "reg_c", deadline_at=NOW, submitted_at=NOW - 9).submitted_at == NOW - 5


def test_an_abandoned_task_that_is_joined_is_pending_again_and_has_forgotten_its_old_deadline() -> None:
    abandoned = after_leave(a_task(), frozenset(a_task().waiters), deadline_at=None)
    assert (abandoned.state, abandoned.waiters, abandoned.settled) == (TaskState.ABANDONED, (), False)
    joined = after_join(abandoned, "reg_b", deadline_at=NOW + 9_000, submitted_at=None)
    assert (joined.state, joined.waiters, joined.deadline_at) == (TaskState.PENDING, ("reg_b",), NOW + 9_000)


def test_who_leaves_takes_the_deadline_along_and_the_others_wait_on() -> None:
    both = after_join(a_task(), "reg_b", deadline_at=NOW + 60, submitted_at=None)
    left = after_leave(both, frozenset({"reg_b", "reg_unknown"}), deadline_at=NOW + 3_600)
    assert left == a_task()


@pytest.mark.parametrize("state", [TaskState.FINAL, TaskState.REJECTED])
def test_a_settled_task_is_neither_joined_nor_left(state: TaskState) -> None:
    with pytest.raises(IllegalMoveError, match="cannot be joined"):
        after_join(a_task(state=state), "reg_b", deadline_at=NOW, submitted_at=None)
    with pytest.raises(IllegalMoveError, match="cannot be left"):
        after_leave(a_task(state=state), frozenset(a_task().waiters), deadline_at=None)
