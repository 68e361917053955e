"""Every form of reply that the upstream is known to send, and the answer it is."""

from typing import Any

import orjson
import pytest

from relay.domain.answer import Answer, AnswerKind, ThrottleShape, read
from relay.domain.budget import Limit
from relay.domain.operations import TaskOutcome
from tests.support.builders import REQUEST_ID, error_envelope, status_body

RATE_EXCEPTION = "MXAPIRateLimitExceededException"
REFUSAL = error_envelope(RATE_EXCEPTION, "API calls exceeded the limit of 20 in 5 second(s)")
REFUSAL_WITHOUT_LIMIT = error_envelope(RATE_EXCEPTION, "Too many calls")
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


def answer_to(body: bytes, status_code: int = 200, *, retry_after_s: float | None = None) -> Answer:
    return read(status_code, body, request_id=REQUEST_ID, retry_after_s=retry_after_s)


# ---------------------------------------------------------------------- what a TaskStatus says


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Success", TaskOutcome.SUCCEEDED),
        ("SUCCESS", TaskOutcome.SUCCEEDED),
        ("FAILURE", TaskOutcome.FAILED),
        ("Failure", TaskOutcome.FAILED),
        ("ERROR", TaskOutcome.ERRORED),
        ("Error", TaskOutcome.ERRORED),
    ],
)
def test_success_failure_and_error_are_final_in_any_case(status: str, outcome: TaskOutcome) -> None:
    answer = answer_to(status_body(status))
    assert (answer.kind, answer.outcome) == (AnswerKind.FINAL, outcome)


@pytest.mark.parametrize("status", ["In-Queue", "IN-QUEUE", "in-queue"])
def test_in_queue_is_pending_and_nothing_to_remark_on(status: str) -> None:
    answer = answer_to(status_body(status))
    assert (answer.kind, answer.outcome, answer.detail) == (AnswerKind.PENDING, None, "")


@pytest.mark.parametrize("status", ["Retrying", "Successful", "", "Succ ess", "0"])
def test_an_unlisted_status_is_pending_and_remarked_on(status: str) -> None:
    answer = answer_to(status_body(status))
    assert (answer.kind, answer.outcome) == (AnswerKind.PENDING, None)
    assert answer.detail


@pytest.mark.parametrize("id_key", ["RequestID", "RequestId", "requestid", "REQUESTID"])
def test_the_id_is_found_under_any_spelling(id_key: str) -> None:
    assert answer_to(status_body("Success", id_key=id_key)).kind is AnswerKind.FINAL


def test_the_id_is_compared_without_regard_to_case() -> None:
    assert answer_to(status_body("Success", request_id=REQUEST_ID.upper())).kind is AnswerKind.FINAL


@pytest.mark.parametrize("request_id", ["another", "", None, 7, REQUEST_ID + " ", [REQUEST_ID]])
def test_another_id_is_never_a_result(request_id: object) -> None:
    assert answer_to(status_body("Success", request_id=request_id)).kind is AnswerKind.UNUSABLE


@pytest.mark.parametrize(
    "value",
    [
        '{"a":1}',
        "not JSON {",
        '"{\\"twice\\":true}"',
        '"{\\"twice, and broken',
        "",
        {"Value": [1, None]},
        [{"Attribute": "EmailAddress"}],
        [],
        None,
        12,
    ],
)
@pytest.mark.parametrize("field", ["RequestBody", "Message"])
def test_request_body_and_message_may_be_anything(field: str, value: Any) -> None:
    answer = answer_to(status_body("Success", **{field: value}))
    assert answer.kind is AnswerKind.FINAL
    assert answer.task_status is not None
    assert orjson.loads(answer.task_status)[field] == value


@pytest.mark.parametrize("status", ["In-Queue", "Success", "Retrying"])
def test_the_task_status_is_handed_on_whole(status: str) -> None:
    body = status_body(status, Unknown={"kept": [1, 2.5, "ü"]})
    assert answer_to(body).task_status == orjson.dumps(orjson.loads(body)["TaskStatus"])


@pytest.mark.parametrize(
    ("fields", "retryable"),
    [
        ({}, True),
        ({"StatusReason": "System.TimeoutException: the operation has timed out"}, True),
        ({"StatusReason": "MX_City is missing: System.NullReferenceException"}, True),
        ({"StatusReason": "MXInvalidLeadException"}, False),
        ({"Message": '"{\\"ExceptionType\\":\\"MXDuplicateEntryException\\"}"'}, False),
        ({"Message": {"ExceptionType": "MXDuplicateEntryException"}}, False),
        ({"Message": [{"ExceptionType": "MXDuplicateEntryException"}]}, False),
        ({"RequestBody": "MXInvalidLeadException", "Message": None}, True),
    ],
)
def test_only_an_error_that_names_no_mx_exception_may_be_retried(fields: dict[str, Any], retryable: bool) -> None:  # noqa: FBT001 - a column of the table
    assert answer_to(status_body("ERROR", **fields)).retryable_error is retryable


@pytest.mark.parametrize("status", ["Success", "FAILURE"])
def test_success_and_failure_are_believed_at_once(status: str) -> None:
    assert not answer_to(status_body(status, StatusReason="System.TimeoutException")).retryable_error


# ---------------------------------------------------------------------- 200, and no result


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"Success"',
        HTML,
        b"\xff\xfe",
        b'{"Status":"Success"}',
        b'{"TaskStatus":{"Status":"Success"}}',
        orjson.dumps({"RequestID": REQUEST_ID}),
        orjson.dumps({"RequestID": REQUEST_ID, "TaskStatus": None}),
        orjson.dumps({"RequestID": REQUEST_ID, "TaskStatus": "Success"}),
        orjson.dumps({"RequestID": REQUEST_ID, "TaskStatus": [{"Status": "Success"}]}),
        orjson.dumps({"RequestID": REQUEST_ID, "TaskStatus": {}}),
        status_body(None),
        status_body(["Success"]),
        status_body("Success")[:-1],
        error_envelope("MXInvalidRequestException", "Something else"),
    ],
)
def test_a_200_without_this_tasks_status_is_unusable(body: bytes) -> None:
    assert answer_to(body).kind is AnswerKind.UNUSABLE


@pytest.mark.parametrize("depth", [300, 2_000, 100_000])
def test_nesting_beyond_reason_is_unusable(depth: int) -> None:
    nested = b'{"RequestID":"%s","TaskStatus":{"Status":"Success","Message":%s%s}}'
    assert answer_to(nested % (REQUEST_ID.encode(), b"[" * depth, b"]" * depth)).kind is AnswerKind.UNUSABLE


# ---------------------------------------------------------------------- refusals for rate


@pytest.mark.parametrize(
    ("status_code", "shape"),
    [(429, ThrottleShape.STATUS_429), (200, ThrottleShape.STATUS_200), (403, ThrottleShape.STATUS_403)],
)
def test_a_refusal_for_rate_is_known_in_its_three_forms(status_code: int, shape: ThrottleShape) -> None:
    named, unnamed = answer_to(REFUSAL, status_code), answer_to(REFUSAL_WITHOUT_LIMIT, status_code)
    assert {named.kind, unnamed.kind} == {AnswerKind.THROTTLED}
    assert (named.shape, unnamed.shape) == (shape, shape)
    assert (named.limit, unnamed.limit) == (Limit(20, 5.0), None)


@pytest.mark.parametrize("body", [b"", HTML, b"null", b'{"message":"Too Many Requests"}'])
def test_a_429_is_a_refusal_for_rate_whatever_its_body(body: bytes) -> None:
    assert answer_to(body, 429) == Answer(AnswerKind.THROTTLED, shape=ThrottleShape.STATUS_429)


@pytest.mark.parametrize("status_code", [200, 403])
def test_the_rate_text_suffices_without_the_exceptions_name(status_code: int) -> None:
    renamed = error_envelope("MXException", "API calls exceeded the limit of 10 in 1 second(s)")
    gateway = b'{"message":"API calls exceeded the limit of 10 in 1 second(s)"}'
    answers = [answer_to(body, status_code) for body in (renamed, gateway)]
    assert [(answer.kind, answer.limit) for answer in answers] == [(AnswerKind.THROTTLED, Limit(10, 1.0))] * 2


def test_a_403_with_the_bare_rate_text_is_a_refusal_for_rate() -> None:
    answer = answer_to(b"API calls exceeded the limit of 20 in 5 second(s)", 403)
    assert (answer.kind, answer.limit) == (AnswerKind.THROTTLED, Limit(20, 5.0))


def test_retry_after_is_handed_on() -> None:
    assert answer_to(REFUSAL, 429, retry_after_s=17.0).retry_after_s == 17.0


def test_a_task_whose_own_message_speaks_of_rate_is_not_throttled() -> None:
    assert answer_to(status_body("FAILURE", Message=REFUSAL.decode())).kind is AnswerKind.FINAL


# ---------------------------------------------------------------------- other refusals and faults


@pytest.mark.parametrize(
    ("status_code", "body", "kind"),
    [
        (401, b"", AnswerKind.UNAUTHORIZED),
        (401, b'{"message":"Unauthorized"}', AnswerKind.UNAUTHORIZED),
        (403, b'{"message":"Forbidden"}', AnswerKind.UNAUTHORIZED),
        (403, HTML, AnswerKind.UNAUTHORIZED),
        (400, error_envelope("MXInvalidInputException", "RequestID"), AnswerKind.REJECTED),
        (404, b"check the API signature", AnswerKind.REJECTED),
        (500, error_envelope("MXSystemException", "Something went wrong"), AnswerKind.ERROR),
        (502, HTML, AnswerKind.ERROR),
        (503, HTML, AnswerKind.ERROR),
        (504, HTML, AnswerKind.ERROR),
        (204, b"", AnswerKind.ERROR),
        (301, b"", AnswerKind.ERROR),
    ],
)
def test_every_other_status_code_has_its_answer(status_code: int, body: bytes, kind: AnswerKind) -> None:
    answer = answer_to(body, status_code)
    assert (answer.kind, answer.outcome, answer.detail) == (kind, None, f"http {status_code}")


@pytest.mark.parametrize("status_code", [201, 202, 206, 302, 400, 401, 403, 404, 429, 500, 503])
def test_a_result_counts_only_with_a_200(status_code: int) -> None:
    assert answer_to(status_body("Success"), status_code).outcome is None
