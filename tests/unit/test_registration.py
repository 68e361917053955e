"""What moves a registration, what one attempt does to it, and what its id is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.delivery import Outcome, Reply, RetryPolicy
from relay.domain.errors import IllegalMoveError
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.registration import (
    MOVES,
    SETTLED,
    SHARDS,
    Attempt,
    DeathReason,
    Registration,
    RegistrationMove,
    RegistrationState,
    after_attempt,
    after_deadline,
    after_task,
    is_registration_id,
    registration_id,
    shard_of,
)
from relay.domain.task import TaskName, TaskState
from tests.support.builders import NAME, NOW, URL, a_registration, a_task

POLICY = RetryPolicy()
FINAL_TASK = a_task(state=TaskState.FINAL, outcome=TaskOutcome.SUCCEEDED, final_at=NOW)
DELIVERING = after_task(a_registration(), FINAL_TASK)
ACCEPTED = Reply(Outcome.DELIVERED, 204, duration_s=0.5)
FAILED = Reply(Outcome.SERVER_ERROR, 503, duration_s=0.5)


def attempted(reply: Reply, registration: Registration = DELIVERING, *, dice: float = 0.0) -> Registration:
    return after_attempt(registration, reply, POLICY, now=NOW, dice=dice)


def test_every_state_has_its_row_and_every_move_leads_somewhere() -> None:
    assert set(MOVES) == set(RegistrationState)
    assert {move for row in MOVES.values() for move in row} == set(RegistrationMove)
    reachable = {RegistrationState.PENDING} | {state for row in MOVES.values() for state in row.values()}
    assert reachable == set(RegistrationState)


def test_only_the_wish_of_a_client_moves_a_settled_registration() -> None:
    assert {move for state in SETTLED for move in MOVES[state]} == {RegistrationMove.REDELIVERED}


@pytest.mark.parametrize("outcome", [TaskOutcome.SUCCEEDED, TaskOutcome.FAILED, TaskOutcome.ERRORED])
def test_a_finished_task_makes_its_callback_due_at_once(outcome: TaskOutcome) -> None:
    due = after_task(a_registration(), a_task(state=TaskState.FINAL, outcome=outcome, final_at=NOW))
    assert (due.state, due.outcome, due.final_at, due.due_at) == (RegistrationState.DELIVERING, outcome, NOW, NOW)


def test_a_rejected_task_hands_its_reason_on() -> None:
    task = a_task(state=TaskState.REJECTED, outcome=TaskOutcome.REJECTED, reason="http 404", final_at=NOW)
    due = after_task(a_registration(), task)
    assert (due.outcome, due.reason) == (TaskOutcome.REJECTED, "http 404")


def test_a_deadline_that_passed_makes_the_callback_due_as_expired() -> None:
    due = after_deadline(a_registration(), now=NOW + 3_600)
    assert (due.state, due.outcome) == (RegistrationState.DELIVERING, TaskOutcome.EXPIRED)
    assert (due.final_at, due.due_at, due.reason) == (NOW + 3_600, NOW + 3_600, None)


def test_a_2xx_delivers() -> None:
    delivered = attempted(ACCEPTED)
    assert (delivered.state, delivered.delivered_at, delivered.due_at) == (RegistrationState.DELIVERED, NOW, None)
    assert delivered.attempts == (Attempt(NOW - 0.5, Outcome.DELIVERED, 204, 0.5),)


def test_a_failure_is_tried_again_by_the_schedule() -> None:
    failed = attempted(FAILED, dice=0.5)
    assert (failed.state, failed.due_at) == (RegistrationState.DELIVERING, NOW + 5.5)
    assert failed.attempts == (Attempt(NOW - 0.5, Outcome.SERVER_ERROR, 503, 0.5),)


@pytest.mark.parametrize(
    ("answered", "excerpt"), [(b"", ""), ("voilà".encode(), "voilà"), (b"\xff\x00a\xc3", "\ufffd\0a\ufffd")]
)
def test_what_the_receiver_said_is_kept_whatever_its_bytes(answered: bytes, excerpt: str) -> None:
    failed = attempted(Reply(Outcome.SERVER_ERROR, 500, excerpt=answered))
    assert failed.attempts[0].excerpt == excerpt


@pytest.mark.parametrize(("hint_s", "wait_s"), [(1, 5), (60, 60)])
def test_the_later_of_retry_after_and_schedule_holds(hint_s: float, wait_s: float) -> None:
    assert attempted(Reply(Outcome.THROTTLED, 429, retry_at=NOW + hint_s)).due_at == NOW + wait_s


def test_a_410_ends_it_at_the_first_attempt() -> None:
    dead = attempted(Reply(Outcome.GONE, 410))
    assert (dead.state, dead.death, dead.due_at) == (RegistrationState.DEAD, DeathReason.GONE, None)


def test_the_eleventh_failure_ends_it_and_not_the_tenth() -> None:
    registration = DELIVERING
    for _ in range(10):
        registration = attempted(FAILED, registration)
    assert registration.state is RegistrationState.DELIVERING
    dead = attempted(FAILED, registration)
    assert (dead.state, dead.death, dead.due_at) == (RegistrationState.DEAD, DeathReason.EXHAUSTED, None)
    assert len(dead.attempts) == 11


@pytest.mark.parametrize("state", sorted(set(RegistrationState) - {RegistrationState.DELIVERING}))
@pytest.mark.parametrize("reply", [ACCEPTED, FAILED, Reply(Outcome.GONE, 410)])
def test_nothing_is_attempted_but_while_delivering(state: RegistrationState, reply: Reply) -> None:
    with pytest.raises(IllegalMoveError):
        attempted(reply, a_registration(state=state))


@pytest.mark.parametrize("state", sorted(set(RegistrationState) - {RegistrationState.PENDING}))
def test_a_task_is_heard_of_once(state: RegistrationState) -> None:
    with pytest.raises(IllegalMoveError):
        after_task(a_registration(state=state), FINAL_TASK)
    with pytest.raises(IllegalMoveError):
        after_deadline(a_registration(state=state), now=NOW)


# ---------------------------------------------------------------------- the id

PARTS = st.tuples(
    st.sampled_from(["alice", "bob"]) | st.from_regex(r"[a-z0-9_-]{1,20}", fullmatch=True),
    st.sampled_from(["default", "other"]) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.sampled_from(Operation),
    st.sampled_from(["a", "b"]) | st.from_regex(r"[\x21-\x7e]{1,128}", fullmatch=True),
    st.sampled_from([URL, URL + "/"]) | st.text(st.characters(exclude_categories=["C"]), min_size=1),
)
Parts = tuple[str, str, Operation, str, str]


def id_of(parts: Parts) -> str:
    client, account, operation, request_id, callback_url = parts
    return registration_id(client, TaskName(account, operation, request_id), callback_url)


@given(one=PARTS, other=PARTS)
def test_an_id_is_the_same_exactly_when_every_part_is(one: Parts, other: Parts) -> None:
    assert (id_of(one) == id_of(other)) == (one == other)


@given(parts=PARTS)
def test_an_id_has_its_form_and_carries_its_accounts_shard(parts: Parts) -> None:
    id_ = id_of(parts)
    assert is_registration_id(id_)
    assert int(id_[4:6], 16) == shard_of(parts[1]) < SHARDS


def test_an_id_never_changes_from_release_to_release() -> None:
    assert registration_id("alice", NAME, URL) == "reg_1fed01a8131abb7d41aaacb5ac87a74676"


VALID = a_registration().id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reg_",
        VALID[4:],
        VALID[:-1],
        VALID + "0",
        VALID + "\n",
        VALID.upper(),
        VALID[:-1] + "é",
        f"reg_zz{VALID[6:]}",
    ],
)
def test_what_is_no_id_is_not_taken_for_one(text: str) -> None:
    assert not is_registration_id(text)
