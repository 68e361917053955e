"""Trails as text, and the timeline of a registration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.answer import AnswerKind
from relay.domain.delivery import Outcome
from relay.domain.operations import TaskOutcome
from relay.domain.registration import Attempt, DeathReason, Redelivery, Registration, RegistrationState
from relay.domain.timeline import timeline
from relay.domain.trail import HEAD, LETTERS, POLL, Polled, Trail, read, written
from tests.support.builders import NOW, a_registration

POLLS = st.builds(Polled, st.integers(0, 2**43).map(lambda ms: ms / 1000), st.sampled_from(AnswerKind))
FAILED = Attempt(NOW + 10, Outcome.SERVER_ERROR, 500, 0.5, "no")
TAKEN = Attempt(NOW + 20, Outcome.DELIVERED, 200, 0.5, "")
FINAL = {"final_at": NOW + 9, "outcome": TaskOutcome.SUCCEEDED}


def test_every_kind_of_answer_has_a_letter_of_its_own() -> None:
    assert set(LETTERS) == set(AnswerKind)
    assert len(set(LETTERS.values())) == len(LETTERS)


@given(st.lists(POLLS, max_size=5), st.integers(0, 16**6 - 1))
def test_a_trail_reads_back(polls: list[Polled], left_out: int) -> None:
    texts = [written(poll) for poll in polls]
    assert {len(text) for text in texts} <= {POLL}
    assert read(f"{left_out:06x}{''.join(texts)}") == Trail(left_out, tuple(polls))


def test_no_trail_is_an_empty_one() -> None:
    assert read("") == read("0" * HEAD) == Trail()


def told(registration: Registration, *polls: Polled) -> list[str]:
    return [happening.name for happening in timeline(registration, Trail(0, polls)).happenings]


def poll(after_s: float, kind: AnswerKind = AnswerKind.PENDING) -> Polled:
    return Polled(NOW + after_s, kind)


def test_polls_that_were_for_others_are_not_told() -> None:
    polls = [poll(-1), poll(0), poll(9, AnswerKind.FINAL), poll(10)]
    delivering = a_registration(state=RegistrationState.DELIVERING, **FINAL)
    cancelled = a_registration(state=RegistrationState.CANCELLED, cancelled_at=NOW + 5)

    assert told(delivering, *polls) == ["registered", "polled", "polled", "final"]
    assert told(cancelled, *polls) == ["registered", "polled", "cancelled"]
    assert told(a_registration(), *polls) == ["registered", "polled", "polled", "polled"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": RegistrationState.DELIVERING, "attempts": (FAILED,)}, ["attempt"]),
        ({"state": RegistrationState.DELIVERED, "attempts": (FAILED, TAKEN)}, ["attempt", "attempt", "delivered"]),
        ({"state": RegistrationState.DEAD, "attempts": (), "death": DeathReason.KILLS_WORKER}, ["dead"]),
        (
            {
                "state": RegistrationState.DELIVERED, "attempts": (FAILED, TAKEN, FAILED, TAKEN),
                "redeliveries": (Redelivery(NOW + 15, 1), Redelivery(NOW + 30, 2)),
            },
            ["attempt", "dead", "redelivered", "attempt", "delivered", "redelivered", *["attempt"] * 2, "delivered"],
        ),
        (
            {
                "state": RegistrationState.CANCELLED, "cancelled_at": NOW + 40, "attempts": (TAKEN, FAILED),
                "redeliveries": (Redelivery(NOW + 30, 1),),
            },
            ["attempt", "delivered", "redelivered", "attempt", "cancelled"],
        ),
    ],
    ids=["under-way", "delivered", "killer", "redelivered-twice", "cancelled-again"],
)  # fmt: skip
def test_attempts_are_told_with_what_they_led_to(changes: dict[str, object], expected: list[str]) -> None:
    assert told(a_registration(**(FINAL | changes))) == ["registered", "final", *expected]


def test_a_task_that_was_final_before_is_final_when_registered() -> None:
    late = a_registration(registered_at=NOW + 100, state=RegistrationState.DELIVERING, **FINAL)
    happenings = timeline(late, Trail(3)).happenings

    assert [(one.name, one.at) for one in happenings] == [("registered", NOW + 100), ("final", NOW + 100)]
