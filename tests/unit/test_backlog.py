"""What a metrics call tells, when it is worth its price, and how far it is believed."""

from dataclasses import replace
from itertools import pairwise

import orjson
import pytest

from relay.domain.adaptive import Adaptive
from relay.domain.answer import Answer, AnswerKind
from relay.domain.backlog import EVERY, LEAST_PENDING, MOST_EVERY, Backlog, HintOutcome, Hints, read_backlog
from relay.domain.operations import Operation
from tests.support.builders import NAME, NOW, a_task, error_envelope

QUEUE = Operation.LEAD_UPDATE
PENDING, FINAL = Answer(AnswerKind.PENDING), Answer(AnswerKind.FINAL)


@pytest.mark.parametrize("rate", ["ProcessingRatePerMinute", "ProcessingratePerMinute"])
def test_the_documented_reply_is_read_in_both_spellings(rate: str) -> None:
    body = orjson.dumps({"PendingMessages": 7, "MaxDelayInSeconds": 3, rate: 24.0})
    assert read_backlog(200, body) == Backlog(pending=7, per_s=0.4)


@pytest.mark.parametrize("rate", [None, "fast", -1, True])
def test_without_a_usable_rate_the_pending_are_told_all_the_same(rate: object) -> None:
    body = orjson.dumps({"PendingMessages": 7, "ProcessingRatePerMinute": rate})
    assert read_backlog(200, body) == Backlog(pending=7, per_s=0.0)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{}", b'{"PendingMessages":-1}', b'{"PendingMessages":"7"}'])
def test_whatever_else_is_no_hint(body: bytes) -> None:
    told = read_backlog(200, body)
    assert isinstance(told, Answer)
    assert told.kind is AnswerKind.UNUSABLE


@pytest.mark.parametrize(("status", "kind"), [(404, "rejected"), (403, "unauthorized"), (502, "error")])
def test_a_refused_call_says_why(status: int, kind: str) -> None:
    told = read_backlog(status, b"{}")
    assert isinstance(told, Answer)
    assert told.kind == kind


@pytest.mark.parametrize("status", [200, 403, 429])
def test_a_refusal_for_rate_is_recognised_in_all_its_shapes(status: int) -> None:
    body = error_envelope("MXAPIRateLimitExceededException", "API calls exceeded the limit of 20 in 5 second(s)")
    told = read_backlog(status, body, retry_after_s=2.0)
    assert isinstance(told, Answer)
    assert (told.kind, told.retry_after_s) == (AnswerKind.THROTTLED, 2.0)


def calls_asked_with(outcome: HintOutcome, *, calls: int) -> list[int]:
    """Return which of so many calls asked for the backlog, when it always came to this."""
    hints, asked = Hints(), []
    for call in range(calls):
        if hints.due({QUEUE: LEAST_PENDING}) is not None:
            asked.append(call)
            hints.told(QUEUE, outcome)
    return asked


def test_it_costs_two_calls_in_a_hundred_while_it_tells_something() -> None:
    assert calls_asked_with(HintOutcome.NEWS, calls=4 * EVERY) == [
        EVERY - 1,
        2 * EVERY - 1,
        3 * EVERY - 1,
        4 * EVERY - 1,
    ]


@pytest.mark.parametrize("outcome", [HintOutcome.NO_NEWS, HintOutcome.FAILED])
def test_it_is_asked_less_and_less_while_it_tells_nothing(outcome: HintOutcome) -> None:
    asked = calls_asked_with(outcome, calls=20_000)
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps[0] <= 2 * EVERY
    assert gaps == sorted(gaps)
    assert gaps[-1] == MOST_EVERY


def test_it_is_not_asked_for_a_handful_of_tasks() -> None:
    hints = Hints()
    assert {hints.due({QUEUE: LEAST_PENDING - 1}) for _ in range(3 * EVERY)} == {None}


def test_of_several_operations_the_one_with_the_most_pending_is_asked_about_first() -> None:
    hints = Hints()
    asked = [hints.due({QUEUE: 20, Operation.CALL_LOG: 30}) for _ in range(2 * EVERY)]
    assert [each for each in asked if each is not None] == [Operation.CALL_LOG, QUEUE]


def a_queue(count: int, *, operation: Operation = QUEUE) -> Adaptive:
    """Return a picker of the tasks 0, 1, ... of one operation."""
    picker = Adaptive()
    for number in range(count):
        name = replace(NAME, operation=operation, request_id=str(number))
        picker.add(str(number), a_task(name=name, registered_at=NOW), now=NOW)
    return picker


def hear(picker: Adaptive, pending: int, *, at: float) -> bool:
    return picker.hear(QUEUE, Backlog(pending, per_s=4.0), asked_at=at, now=at)


def test_those_before_the_ones_still_pending_are_expected_to_have_ended() -> None:
    picker = a_queue(20)
    assert hear(picker, 17, at=NOW + 5)
    assert picker.passed() == ["0", "1", "2"]
    assert picker.learned_of("2")[1] == NOW + 5
    assert picker.learned_of("3")[1] is None


def test_more_pending_than_are_known_is_no_news() -> None:
    picker = a_queue(20)
    assert not hear(picker, 50, at=NOW + 5)
    assert picker.passed() == []


def test_one_operation_tells_nothing_of_another() -> None:
    picker = a_queue(20, operation=Operation.CALL_LOG)
    assert not hear(picker, 0, at=NOW + 5)
    assert picker.ahead() == {Operation.CALL_LOG: 20, QUEUE: 0}


def claimed(*, told: int, ended: int) -> list[int]:
    """Return how many tasks each hint moved the front past, of a queue polled 50 times between two hints.

    So many tasks more are told to have ended at each, and so many have.
    """
    picker, claims = a_queue(1_000), []
    for hint in range(1, 15):
        now = NOW + 10 * hint
        picker.hear(QUEUE, Backlog(max(0, 1_000 - told * hint), per_s=4.0), asked_at=now, now=now)
        claims.append(len(picker.passed()))
        for poll in range(50):
            at = now + 0.2 * poll
            key = picker.pick(now=at)
            assert key is not None
            finished = int(key) < ended * hint
            picker.answered(key, FINAL if finished else PENDING, now=at)
            if finished:
                picker.drop(key)
    return claims


def test_a_hint_that_holds_is_believed_further_and_further() -> None:
    claims = claimed(told=40, ended=40)
    assert claims[0] < 5
    assert claims[-1] > 20


def test_a_hint_that_does_not_hold_costs_a_few_polls_and_then_one() -> None:
    claims = claimed(told=1_000, ended=1)
    assert sum(claims[-8:]) <= 8
