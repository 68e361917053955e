"""Records as they are kept: lean, of the next version, and readable by the releases that follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.delivery import Outcome
from relay.domain.draft import DEFAULT_DEADLINE_S
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.registration import Attempt, RegistrationState
from relay.domain.task import Looks, TaskName, TaskState
from relay.store.records import read_looks, read_registration, read_task, write_looks, write_registration, write_task
from tests.support.builders import NAME, NOW, a_registration, a_task

LOOKS = Looks(polls=3, last_at=NOW + 3, refusals=2, refused_at=NOW + 2, overtaken_at=NOW + 1)


def test_a_new_tasks_record_holds_what_is_not_a_default_alone() -> None:
    written = write_task(a_task(waiters=("reg_a",)))
    assert written == b'1 {"registered_at":1795428000.0,"deadline_at":1795431600.0,"waiters":["reg_a"]}'


def test_a_new_registrations_record_holds_what_is_not_a_default_alone() -> None:
    version, _, document = write_registration(a_registration()).partition(b" ")
    assert version == b"1"
    assert document == (
        b'{"client":"alice","account":"default","request_id":"7ba60ab0-5e1c-4f0e-9d55-3a1f6b0f2c11",'
        b'"callback_url":"https://receiver.example.com/hook","registered_at":1795428000.0,"deadline_at":1795431600.0}'
    )


@given(registered_at=st.floats(0, 4e9))
def test_the_usual_deadline_is_worked_out_to_the_same_bits_and_not_written(registered_at: float) -> None:
    usual = {"registered_at": registered_at, "deadline_at": registered_at + DEFAULT_DEADLINE_S}
    task, registration = a_task(**usual), a_registration(**usual)
    assert b"deadline_at" not in write_task(task) + write_registration(registration)
    assert read_task(NAME, write_task(task)).deadline_at == usual["deadline_at"]
    assert read_registration(registration.id, write_registration(registration)).deadline_at == usual["deadline_at"]


def test_a_record_is_written_with_the_next_version() -> None:
    assert read_task(NAME, write_task(a_task(version=41))).version == 42
    registration = a_registration(version=41)
    assert read_registration(registration.id, write_registration(registration)).version == 42


def test_a_pending_tasks_looks_are_kept_apart() -> None:
    task = a_task(looks=LOOKS)
    assert write_task(task) == write_task(a_task())
    assert read_task(NAME, write_task(task), write_looks(LOOKS)).looks == LOOKS
    assert read_task(NAME, write_task(task)).looks == Looks()


@pytest.mark.parametrize("state", [TaskState.FINAL, TaskState.REJECTED])
def test_a_settled_task_keeps_its_looks_in_its_record(state: TaskState) -> None:
    task = a_task(state=state, outcome=TaskOutcome.FAILED, final_at=NOW, looks=LOOKS)
    assert read_task(NAME, write_task(task), write_looks(Looks(polls=99))).looks == LOOKS


def test_no_looks_are_none_so_far() -> None:
    assert read_looks(None) == Looks()


def test_a_tasks_name_stands_in_its_key_alone() -> None:
    name = TaskName("eu", Operation.CALL_LOG, "another id")
    assert write_task(a_task(name=name)) == write_task(a_task())
    assert read_task(name, write_task(a_task())).name == name


def test_records_of_this_release_stay_readable() -> None:
    task = b'7 {"state":"rejected","registered_at":1,"deadline_at":2,"outcome":"task.rejected","reason":"http 404",'
    task += b'"final_at":3,"looks":[5,2.5,5,2.0,null]}'
    assert read_task(NAME, task) == a_task(
        registered_at=1, deadline_at=2, waiters=(), state=TaskState.REJECTED, outcome=TaskOutcome.REJECTED,
        reason="http 404", final_at=3, looks=Looks(5, 2.5, 5, 2.0, None), version=7,
    )  # fmt: skip
    registration = b'2 {"state":"delivering","client":"alice","account":"default","request_id":"%s","callback_url":"u",'
    registration += b'"registered_at":1,"deadline_at":2,"outcome":"task.failed","final_at":3,"due_at":4,'
    registration += b'"attempts":[[3.5,"timeout",null,0.5],[9.5,"server_error",500,0.5,"oh"]]}'
    assert read_registration("reg_a", registration % NAME.request_id.encode()) == a_registration(
        id="reg_a", callback_url="u", registered_at=1, deadline_at=2, state=RegistrationState.DELIVERING,
        outcome=TaskOutcome.FAILED, final_at=3, due_at=4, version=2,
        attempts=(Attempt(3.5, Outcome.TIMEOUT, None, 0.5), Attempt(9.5, Outcome.SERVER_ERROR, 500, 0.5, "oh")),
    )  # fmt: skip
