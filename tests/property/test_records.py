"""The law of the records: what is written reads back as it was, in every state."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.domain.delivery import Outcome
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.registration import Attempt, DeathReason, Registration, RegistrationState
from relay.domain.task import Looks, Task, TaskName, TaskState
from relay.store.records import read_looks, read_registration, read_task, write_looks, write_registration, write_task

LAW = settings(max_examples=150, deadline=None)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INSTANTS = st.floats(0, 4e9) | st.integers(0, 4_000_000_000)
MAYBE_AT = st.none() | INSTANTS
COUNTS = st.integers(0, 2**31)
NAMES = st.builds(TaskName, TEXTS, st.sampled_from(Operation), TEXTS)
LOOKS = st.builds(Looks, COUNTS, MAYBE_AT, COUNTS, MAYBE_AT, MAYBE_AT)
TASKS = st.builds(
    Task,
    name=NAMES,
    registered_at=INSTANTS,
    deadline_at=INSTANTS,
    waiters=st.lists(TEXTS, max_size=3).map(tuple),
    submitted_at=MAYBE_AT,
    state=st.sampled_from(TaskState),
    looks=LOOKS,
    errored_at=MAYBE_AT,
    outcome=st.none() | st.sampled_from(TaskOutcome),
    reason=st.none() | TEXTS,
    final_at=MAYBE_AT,
    version=COUNTS,
)
CODES = st.none() | st.integers(100, 599)
ATTEMPTS = st.builds(Attempt, INSTANTS, st.sampled_from(Outcome), CODES, st.floats(0, 15), TEXTS)
REGISTRATIONS = st.builds(
    Registration,
    id=TEXTS,
    client=TEXTS,
    task_name=NAMES,
    callback_url=TEXTS,
    registered_at=INSTANTS,
    deadline_at=INSTANTS,
    submitted_at=MAYBE_AT,
    metadata=st.just("{}") | TEXTS,
    state=st.sampled_from(RegistrationState),
    outcome=st.none() | st.sampled_from(TaskOutcome),
    reason=st.none() | TEXTS,
    final_at=MAYBE_AT,
    due_at=MAYBE_AT,
    delivered_at=MAYBE_AT,
    death=st.none() | st.sampled_from(DeathReason),
    attempts=st.lists(ATTEMPTS, max_size=3).map(tuple),
    version=COUNTS,
)


@LAW
@given(task=TASKS)
def test_a_task_reads_back_as_it_was_written(task: Task) -> None:
    read = read_task(task.name, write_task(task), write_looks(task.looks))
    assert read == replace(task, version=task.version + 1)


@LAW
@given(registration=REGISTRATIONS)
def test_a_registration_reads_back_as_it_was_written(registration: Registration) -> None:
    read = read_registration(registration.id, write_registration(registration))
    assert read == replace(registration, version=registration.version + 1)


@LAW
@given(looks=LOOKS)
def test_looks_read_back_as_they_were_written(looks: Looks) -> None:
    assert read_looks(write_looks(looks)) == looks
