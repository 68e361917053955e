"""Laws of whole lives: whatever happens in whatever order, a task and a registration keep their promises."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from relay.domain.answer import Answer, AnswerKind
from relay.domain.delivery import MAX_HINT_S, Outcome, Reply, RetryPolicy
from relay.domain.errors import IllegalMoveError
from relay.domain.operations import TaskOutcome
from relay.domain.registration import (
    MOVES as REGISTRATION_MOVES,
)
from relay.domain.registration import (
    Registration,
    RegistrationState,
    after_attempt,
    after_deadline,
    after_task,
)
from relay.domain.task import MOVES as TASK_MOVES
from relay.domain.task import AnswerPolicy, Task, TaskState, after_condemnation, after_join, after_leave, after_poll
from tests.support.builders import NOW, a_registration, a_task

ANSWERS = st.sampled_from(
    [
        Answer(AnswerKind.PENDING, b"{}"),
        Answer(AnswerKind.FINAL, b"{}", TaskOutcome.SUCCEEDED),
        Answer(AnswerKind.FINAL, b"{}", TaskOutcome.ERRORED, retryable_error=True),
        Answer(AnswerKind.FINAL, b"{}", TaskOutcome.ERRORED),
        *[Answer(AnswerKind.REJECTED, detail="http 404")] * 4,
        Answer(AnswerKind.THROTTLED),
        Answer(AnswerKind.UNAUTHORIZED),
        Answer(AnswerKind.ERROR),
        Answer(AnswerKind.TIMEOUT),
        Answer(AnswerKind.UNUSABLE),
    ]
)
REFUSALS = 3
VERSION = 7


class TaskLife(RuleBasedStateMachine):
    """One task: polls, joins, leaves, deadlines, and answers of other ids of the account, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.policy = AnswerPolicy(error_grace_s=2.0, refusals=REFUSALS)
        self.task = a_task(waiters=("reg_0",), version=VERSION)
        self.deadlines = {"reg_0": self.task.deadline_at}
        self.joins = 0
        self.refused_in_a_row: list[float] = []
        self.others_answered_at: float | None = None

    def do(self, step: Callable[[], Task]) -> bool:
        """Take the step, and hold it against the table of moves; return whether the table admits it."""
        before, refused = self.task, None
        try:
            self.task = step()
        except IllegalMoveError as error:
            refused = error.move
        assert refused not in TASK_MOVES[before.state]
        assert self.task.state is before.state or self.task.state in TASK_MOVES[before.state].values()
        return refused is None

    @rule(answer=ANSWERS)
    def poll(self, answer: Answer) -> None:
        if answer.kind is AnswerKind.REJECTED:
            self.refused_in_a_row.append(self.now)
        elif answer.kind in {AnswerKind.PENDING, AnswerKind.FINAL}:
            self.refused_in_a_row.clear()
            self.others_answered_at = self.now
        state = self.task.state
        self.do(lambda: after_poll(self.task, answer, self.policy, now=self.now, answered_at=self.others_answered_at))
        if state is not TaskState.REJECTED and self.task.state is TaskState.REJECTED:
            assert len(self.refused_in_a_row) >= REFUSALS
            assert self.others_answered_at is not None
            assert self.others_answered_at >= self.refused_in_a_row[0]

    @rule()
    def another_id_is_answered(self) -> None:
        self.others_answered_at = self.now

    @rule(deadline_s=st.integers(1, 100))
    def join(self, deadline_s: int) -> None:
        self.joins += 1
        waiter, deadline_at = f"reg_{self.joins}", self.now + deadline_s
        if self.do(lambda: after_join(self.task, waiter, deadline_at=deadline_at, submitted_at=None)):
            self.deadlines[waiter] = deadline_at

    @rule(which=st.integers(0, 9))
    def leave(self, which: int) -> None:
        if self.task.waiters:
            self.part({self.task.waiters[which % len(self.task.waiters)]})

    @rule()
    def the_deadline_passes(self) -> None:
        self.part({waiter for waiter in self.task.waiters if self.deadlines[waiter] <= self.task.deadline_at})

    def part(self, left: set[str]) -> None:
        others = [self.deadlines[waiter] for waiter in self.task.waiters if waiter not in left]
        if left:
            self.do(lambda: after_leave(self.task, frozenset(left), deadline_at=min(others, default=None)))

    @rule()
    def its_polls_kill(self) -> None:
        self.do(lambda: after_condemnation(self.task, now=self.now))

    @rule(for_s=st.sampled_from([0.5, 1.0, 3.0]))
    def time_passes(self, for_s: float) -> None:
        self.now += for_s

    @invariant()
    def somebody_waits_for_a_pending_task_and_the_earliest_deadline_holds(self) -> None:
        assert (self.task.state is TaskState.ABANDONED) == (not self.task.waiters)
        if self.task.state is TaskState.PENDING:
            assert self.task.deadline_at == min(self.deadlines[waiter] for waiter in self.task.waiters)

    @invariant()
    def it_has_an_outcome_exactly_when_it_is_settled(self) -> None:
        assert (self.task.outcome is not None) == (self.task.final_at is not None) == self.task.settled
        assert (self.task.outcome is TaskOutcome.REJECTED) == (self.task.state is TaskState.REJECTED)
        assert (self.task.reason is not None) == (self.task.state is TaskState.REJECTED)

    @invariant()
    def its_version_is_the_stores_alone(self) -> None:
        assert self.task.version == VERSION


TestTaskLife = TaskLife.TestCase
TestTaskLife.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)


POLICY = RetryPolicy()
REPLIES = st.builds(
    Reply,
    outcome=st.sampled_from([*Outcome, *[Outcome.SERVER_ERROR, Outcome.TIMEOUT] * 8]),
    retry_at=st.none() | st.floats(NOW - 1e6, NOW + 1e6),
    duration_s=st.floats(0, 15),
)
DICE = st.floats(0, 1, exclude_max=True)


def due_registration(expired: bool) -> Registration:  # noqa: FBT001 - a flag drawn by Hypothesis
    registration = a_registration(version=VERSION)
    if expired:
        return after_deadline(registration, now=NOW)
    return after_task(registration, a_task(state=TaskState.FINAL, outcome=TaskOutcome.FAILED, final_at=NOW))


@settings(max_examples=150, deadline=None)
@given(expired=st.booleans(), replies=st.lists(st.tuples(REPLIES, DICE), max_size=30))
def test_a_delivery_keeps_its_promises(expired: bool, replies: list[tuple[Reply, float]]) -> None:  # noqa: FBT001 - drawn
    registration = due_registration(expired)
    now = NOW
    for reply, dice in replies:
        before = registration
        assert before.due_at is not None
        now = max(now, before.due_at) + reply.duration_s
        registration = after_attempt(before, reply, POLICY, now=now, dice=dice)
        assert registration.state in REGISTRATION_MOVES[before.state].values()
        assert (registration.due_at is not None) == (registration.state is RegistrationState.DELIVERING)
        assert (registration.state is RegistrationState.DELIVERED) == (reply.outcome is Outcome.DELIVERED)
        assert (registration.delivered_at == now) == (registration.state is RegistrationState.DELIVERED)
        assert (registration.death is not None) == (registration.state is RegistrationState.DEAD)
        assert len(registration.attempts) == len(before.attempts) + 1
        assert len(registration.attempts) <= len(POLICY.delays_s)
        assert_waits_long_enough(registration, reply, now)
        assert_only_the_delivery_changed(before, registration)
        if registration.settled:
            break


def assert_waits_long_enough(registration: Registration, reply: Reply, now: float) -> None:
    """Fail when the next attempt comes before the schedule or the receiver's hint admits it, or much later."""
    if registration.due_at is None:
        return
    scheduled_s = POLICY.delays_s[len(registration.attempts)]
    hinted_at = min(reply.retry_at or 0.0, now + MAX_HINT_S)
    assert registration.due_at >= max(now + scheduled_s, hinted_at)
    assert registration.due_at <= max(now + scheduled_s * (1 + POLICY.jitter), hinted_at)


def assert_only_the_delivery_changed(before: Registration, after: Registration) -> None:
    """Fail when anything but the fields of the delivery changed: who, what, the outcome, and the store's version."""
    delivery = {"state", "due_at", "delivered_at", "death", "attempts"}
    assert replace(after, **{name: getattr(before, name) for name in delivery}) == before


@settings(max_examples=60, deadline=None)
@given(outcome=st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.DELIVERED]), dice=DICE)
def test_a_receiver_that_never_accepts_is_given_up_within_the_policys_attempts(outcome: Outcome, dice: float) -> None:
    registration = due_registration(expired=False)
    for _ in POLICY.delays_s:
        if registration.due_at is not None:
            registration = after_attempt(registration, Reply(outcome), POLICY, now=registration.due_at, dice=dice)
    assert registration.state is RegistrationState.DEAD
