"""Ordinary records and replies; a test changes the one thing it is about."""

from dataclasses import replace
from typing import Any

import orjson

from relay.domain.account import Account
from relay.domain.budget import Limit
from relay.domain.operations import Operation
from relay.domain.registration import Registration, registration_id
from relay.domain.task import Task, TaskName

NOW = 1_795_428_000.0  # 2026-11-23T10:00:00Z
REQUEST_ID = "7ba60ab0-5e1c-4f0e-9d55-3a1f6b0f2c11"
NAME = TaskName("default", Operation.LEAD_UPDATE, REQUEST_ID)
URL = "https://receiver.example.com/hook"


def a_registration(**changes: Any) -> Registration:
    """Return a pending registration, made at `NOW` with a deadline in an hour."""
    registration = Registration(
        id=registration_id("alice", NAME, URL),
        client="alice",
        task_name=NAME,
        callback_url=URL,
        registered_at=NOW,
        deadline_at=NOW + 3_600,
    )
    return replace(registration, **changes)


def a_task(**changes: Any) -> Task:
    """Return a pending task that one registration waits for, made at `NOW`."""
    task = Task(name=NAME, registered_at=NOW, deadline_at=NOW + 3_600, waiters=(a_registration().id,))
    return replace(task, **changes)


def an_account(**changes: Any) -> Account:
    """Return an account with the documented limit."""
    account = Account("default", "https://upstream.example.com", "an upstream key", Limit(25, 5.0))
    return replace(account, **changes)


def status_body(
    status: object = "In-Queue", *, request_id: object = REQUEST_ID, id_key: str = "RequestID", **fields: Any
) -> bytes:
    """Return the body of the upstream's 200 to a status call; `fields` add to its TaskStatus or change it."""
    task_status = {
        "TaskType": "Lead Update",
        "Status": status,
        "StatusReason": None,
        "TaskCurrentStep": "Lead Update",
        "TaskLastStep": None,
        "RequestBody": '[{"Attribute":"EmailAddress","Value":"a@example.com"}]',
        "Message": '"{\\"Status\\":\\"Success\\"}"',
    }
    return orjson.dumps({id_key: request_id, "TaskStatus": task_status | fields})


def error_envelope(exception_type: str, message: str) -> bytes:
    """Return the body that the upstream's own errors have."""
    return orjson.dumps({"Status": "Error", "ExceptionType": exception_type, "ExceptionMessage": message})
