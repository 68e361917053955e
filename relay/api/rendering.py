"""A registration as the contract writes it."""

from typing import Any

import orjson

from relay.domain.instant import rfc3339, rfc3339_or_none
from relay.domain.registration import Attempt
from relay.domain.task import Looks, TaskState
from relay.services.show import Shown


def render(shown: Shown) -> bytes:
    """Return a registration as JSON."""
    return orjson.dumps(document(shown))


def document(shown: Shown) -> dict[str, Any]:
    """Return a registration as it stands in a larger document; orjson alone can write it."""
    registration, name = shown.registration, shown.registration.task_name
    return {
        "id": registration.id,
        "client": registration.client,
        "state": registration.state,
        "type": registration.outcome,
        "reason": registration.reason,
        "account": name.account,
        "operation": name.operation,
        "request_id": name.request_id,
        "callback_url": registration.callback_url,
        "metadata": orjson.Fragment(registration.metadata),
        "submitted_at": rfc3339_or_none(registration.submitted_at),
        "registered_at": rfc3339(registration.registered_at),
        "deadline_at": rfc3339(registration.deadline_at),
        "final_at": rfc3339_or_none(registration.final_at),
        "delivered_at": rfc3339_or_none(registration.delivered_at),
        "next_attempt_at": rfc3339_or_none(registration.due_at),
        "death": registration.death,
        "cancelled_at": rfc3339_or_none(registration.cancelled_at),
        "redelivered_at": rfc3339_or_none(registration.redeliveries[-1].at if registration.redeliveries else None),
        "task": _task(shown),
        "attempts": [_attempt(number, attempt) for number, attempt in enumerate(registration.attempts, start=1)],
    }


def _task(shown: Shown) -> dict[str, Any]:
    looks = Looks() if shown.task is None else shown.task.looks
    pending = shown.task is not None and shown.task.state is TaskState.PENDING
    return {
        "polls": looks.polls,
        "last_polled_at": rfc3339_or_none(looks.last_at),
        "next_poll_at": rfc3339_or_none(looks.next_at) if pending else None,
        "eta_at": rfc3339_or_none(looks.eta_at) if pending else None,
        "status": None if shown.task_status is None else orjson.Fragment(shown.task_status),
    }


def _attempt(number: int, attempt: Attempt) -> dict[str, Any]:
    return {
        "number": number,
        "at": rfc3339(attempt.at),
        "outcome": attempt.outcome,
        "status_code": attempt.status_code,
        "duration_s": round(attempt.duration_s, 4),
        "excerpt": attempt.excerpt,
    }
