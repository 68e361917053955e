"""The callback's body."""

import orjson

from relay.domain.instant import rfc3339
from relay.domain.registration import Registration


def body(registration: Registration, task_status: bytes | None) -> bytes:
    """Return the callback's JSON body for a registration whose task has ended, `task_status` as the upstream sent it.

    Made once, when the registration becomes due, and stored: every attempt sends the same bytes.
    """
    if registration.outcome is None or registration.final_at is None:
        raise ValueError("the registration's task has not ended")
    name = registration.task_name
    data: dict[str, object] = {
        "RequestID": name.request_id,
        "TaskStatus": None if task_status is None else orjson.Fragment(task_status),
    }
    if registration.reason is not None:
        data["reason"] = registration.reason
    return orjson.dumps(
        {
            "type": registration.outcome,
            "timestamp": rfc3339(registration.final_at),
            "data": data,
            "registration": {
                "id": registration.id,
                "account": name.account,
                "operation": name.operation,
                "registered_at": rfc3339(registration.registered_at),
                "metadata": orjson.Fragment(registration.metadata),
            },
        }
    )
