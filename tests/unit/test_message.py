"""The callback's body, as the contract shows it."""

import orjson
import pytest

from relay.domain.message import body
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.registration import Registration
from relay.domain.task import TaskName
from tests.support.builders import NOW, REQUEST_ID, a_registration

TASK_STATUS = b'{"TaskType":"Lead Update","Status":"Success","Message":"\\"{}\\""}'


def ended(outcome: TaskOutcome = TaskOutcome.SUCCEEDED, **changes: object) -> Registration:
    return a_registration(outcome=outcome, final_at=NOW + 7.12, **changes)


def test_a_success_reads_as_the_contract_shows_it() -> None:
    registration = ended(metadata='{"order":17}')
    assert orjson.loads(body(registration, TASK_STATUS)) == {
        "type": "task.succeeded",
        "timestamp": "2026-11-23T10:00:07.120Z",
        "data": {
            "RequestID": REQUEST_ID,
            "TaskStatus": {"TaskType": "Lead Update", "Status": "Success", "Message": '"{}"'},
        },
        "registration": {
            "id": registration.id,
            "account": "default",
            "operation": "lead.update",
            "registered_at": "2026-11-23T10:00:00.000Z",
            "metadata": {"order": 17},
        },
    }


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        (TaskOutcome.SUCCEEDED, "task.succeeded"),
        (TaskOutcome.FAILED, "task.failed"),
        (TaskOutcome.ERRORED, "task.errored"),
        (TaskOutcome.EXPIRED, "task.expired"),
        (TaskOutcome.REJECTED, "task.rejected"),
    ],
)
@pytest.mark.parametrize("task_status", [None, TASK_STATUS])
def test_each_outcome_has_its_type_with_and_without_a_task_status(
    outcome: TaskOutcome, name: str, task_status: bytes | None
) -> None:
    document = orjson.loads(body(ended(outcome), task_status))
    assert list(document) == ["type", "timestamp", "data", "registration"]
    assert document["type"] == name
    assert document["data"]["TaskStatus"] == (None if task_status is None else orjson.loads(task_status))


def test_a_rejection_says_why_and_nothing_else_has_a_reason() -> None:
    rejected = ended(TaskOutcome.REJECTED, reason="http 404")
    assert orjson.loads(body(rejected, None))["data"]["reason"] == "http 404"
    assert "reason" not in orjson.loads(body(ended(), TASK_STATUS))["data"]


@pytest.mark.parametrize("task_status", [TASK_STATUS, b'{ "Status" : "Success", "n": 1.0, "u": "\\u00fc" }'])
def test_the_task_status_is_kept_byte_for_byte(task_status: bytes) -> None:
    assert b'"TaskStatus":' + task_status + b"}" in body(ended(), task_status)


@pytest.mark.parametrize("metadata", ['{"a":1.0,"b":null,"c":"ü\\n"}', '{ "spaced" : [ ] }', "{}"])
def test_the_metadata_is_kept_as_it_was_stored(metadata: str) -> None:
    assert b'"metadata":' + metadata.encode() + b"}" in body(ended(metadata=metadata), None)


def test_the_task_is_named_by_account_operation_and_request_id() -> None:
    registration = ended(task_name=TaskName("eu", Operation.CALL_LOG, "a/b"))
    document = orjson.loads(body(registration, None))
    assert document["data"]["RequestID"] == "a/b"
    assert (document["registration"]["account"], document["registration"]["operation"]) == ("eu", "call.log")


def test_the_same_end_has_the_same_bytes() -> None:
    assert body(ended(), TASK_STATUS) == body(ended(), TASK_STATUS)


def test_there_is_no_callback_before_the_end() -> None:
    with pytest.raises(ValueError, match="has not ended"):
        body(a_registration(), None)
