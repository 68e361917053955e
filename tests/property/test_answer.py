"""Laws of reading the upstream: whatever arrives is a named answer, and garbage is never final."""

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.domain.answer import AnswerKind, read
from relay.domain.operations import FINAL_STATUSES
from tests.support.builders import REQUEST_ID, status_body

LAW = settings(max_examples=150, deadline=None)
STATUS_CODES = st.sampled_from([200, 400, 401, 403, 404, 429, 500, 502, 503, 504]) | st.integers(100, 599)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20)
# The upstream's own words, so that documents come close to results without being any.
WORDS = st.sampled_from(["RequestID", "RequestId", "TaskStatus", "Status", "Message", "ExceptionType", REQUEST_ID])
JSON = st.recursive(
    SCALARS | WORDS | st.sampled_from(["Success", "ERROR", "In-Queue"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def is_result(document: Any) -> bool:
    """Whether the document is this task's, and its status one of the final ones: the law, written as it reads."""
    if not isinstance(document, dict) or not isinstance(document.get("TaskStatus"), dict):
        return False
    ids = [value for key, value in document.items() if key.lower() == "requestid"]
    status = document["TaskStatus"].get("Status")
    return REQUEST_ID in ids and isinstance(status, str) and status.strip().lower() in FINAL_STATUSES


@LAW
@given(status_code=STATUS_CODES, body=st.binary(max_size=200))
def test_bytes_of_any_kind_are_never_final(status_code: int, body: bytes) -> None:
    answer = read(status_code, body, request_id=REQUEST_ID)
    assert (answer.kind is AnswerKind.FINAL, answer.outcome) == (False, None)


@LAW
@given(status_code=STATUS_CODES, document=JSON)
def test_only_this_tasks_final_status_in_a_200_is_final(status_code: int, document: Any) -> None:
    answer = read(status_code, orjson.dumps(document), request_id=REQUEST_ID)
    if answer.kind is AnswerKind.FINAL:
        assert status_code == 200
        assert is_result(document)
    assert (answer.outcome is not None) == (answer.kind is AnswerKind.FINAL)


@LAW
@given(cut=st.integers(1, 250), status=st.sampled_from(["Success", "FAILURE", "ERROR"]))
def test_a_body_cut_short_is_unusable(cut: int, status: str) -> None:
    assert read(200, status_body(status)[:-cut], request_id=REQUEST_ID).kind is AnswerKind.UNUSABLE


@LAW
@given(at=st.integers(0, 100), noise=st.binary(min_size=1, max_size=3))
def test_noise_in_a_pending_body_finishes_nothing(at: int, noise: bytes) -> None:
    body = status_body("In-Queue")
    at %= len(body)
    answer = read(200, body[:at] + noise + body[at + len(noise) :], request_id=REQUEST_ID)
    assert answer.kind in {AnswerKind.PENDING, AnswerKind.UNUSABLE}


@LAW
@given(status=st.text(max_size=20))
def test_a_status_is_final_exactly_when_it_is_listed(status: str) -> None:
    answer = read(200, status_body(status), request_id=REQUEST_ID)
    wanted = AnswerKind.FINAL if status.strip().lower() in FINAL_STATUSES else AnswerKind.PENDING
    assert answer.kind is wanted


@LAW
@given(fields=st.dictionaries(st.text(max_size=10).filter(lambda name: name != "Status"), JSON, max_size=4))
def test_what_else_a_task_status_holds_changes_nothing_and_is_kept(fields: dict[str, Any]) -> None:
    task_status = {"Status": "Success", **fields}
    body = orjson.dumps({"RequestID": REQUEST_ID, "TaskStatus": task_status})
    answer = read(200, body, request_id=REQUEST_ID)
    assert answer.kind is AnswerKind.FINAL
    assert answer.task_status == orjson.dumps(task_status)
