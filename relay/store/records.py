"""Records as the store keeps them: `<version> <JSON>`, with what is absent or default left out."""

from dataclasses import astuple
from typing import Any

import orjson

from relay import log, metrics
from relay.domain.delivery import Outcome
from relay.domain.draft import DEFAULT_DEADLINE_S
from relay.domain.errors import UnreadableError
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.registration import Attempt, DeathReason, Redelivery, Registration, RegistrationState
from relay.domain.task import Looks, Task, TaskName, TaskState

logger = log.get(__name__)


def unreadable(kind: str, error: str, **names: str) -> UnreadableError:
    """Count and log what cannot be read by its names alone, and return what to raise."""
    metrics.UNREADABLE.labels(kind).inc()
    logger.error("record_unreadable", kind=kind, error=error, **names)
    return UnreadableError(f"the {kind} cannot be read")


def _written(version: int, fields: dict[str, Any]) -> bytes:
    lean = {name: value for name, value in fields.items() if value is not None}
    return b"%d %s" % (version, orjson.dumps(lean))


def _read(value: bytes) -> tuple[int, dict[str, Any]]:
    version, _, document = value.partition(b" ")
    return int(version), orjson.loads(document)


def _unless_usual(registered_at: float, deadline_at: float) -> float | None:
    """Return the deadline to write: the usual one is worked out when it is read, to the same bits."""
    return None if deadline_at == registered_at + DEFAULT_DEADLINE_S else deadline_at


def _deadline_at(fields: dict[str, Any]) -> float:
    return float(fields.get("deadline_at", fields["registered_at"] + DEFAULT_DEADLINE_S))


def write_task(task: Task) -> bytes:
    """Return the record of the task's next version. While it is pending its looks are apart: each poll changes them."""
    return _written(
        task.version + 1,
        {
            "state": None if task.state is TaskState.PENDING else task.state,
            "registered_at": task.registered_at,
            "deadline_at": _unless_usual(task.registered_at, task.deadline_at),
            "submitted_at": task.submitted_at,
            "waiters": task.waiters or None,
            "client": task.client or None,
            "errored_at": task.errored_at,
            "outcome": task.outcome,
            "reason": task.reason,
            "final_at": task.final_at,
            "traceparent": task.traceparent,
            "looks": None if task.state is TaskState.PENDING else _lean_looks(task.looks),
        },
    )


def read_task(name: TaskName, value: bytes, looks: bytes | None = None) -> Task:
    """Return the task in a record; `looks` is what is kept apart while it is pending. Raises UnreadableError."""
    try:
        return _task(name, value, looks)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is wrong with it alone
        raise unreadable("task", type(error).__name__, account=name.account, request_id=name.request_id) from None


def _task(name: TaskName, value: bytes, looks: bytes | None) -> Task:
    version, fields = _read(value)
    outcome = fields.get("outcome")
    return Task(
        name=name,
        registered_at=float(fields["registered_at"]),
        deadline_at=_deadline_at(fields),
        waiters=tuple(fields.get("waiters", ())),
        client=fields.get("client", ""),
        submitted_at=fields.get("submitted_at"),
        state=TaskState(fields.get("state", TaskState.PENDING)),
        looks=Looks(*fields["looks"]) if "looks" in fields else read_looks(looks),
        errored_at=fields.get("errored_at"),
        outcome=None if outcome is None else TaskOutcome(outcome),
        reason=fields.get("reason"),
        final_at=fields.get("final_at"),
        traceparent=fields.get("traceparent"),
        version=version,
    )


def _lean_looks(looks: Looks) -> list[float | int | None]:
    lean = [*astuple(looks)]
    while lean and lean[-1] is None:
        lean.pop()
    return lean


def write_looks(looks: Looks) -> bytes:
    return orjson.dumps(_lean_looks(looks))


def read_looks(value: bytes | None) -> Looks:
    return Looks() if value is None else Looks(*orjson.loads(value))


def write_registration(registration: Registration) -> bytes:
    """Return the record of the registration's next version."""
    name = registration.task_name
    pending = registration.state is RegistrationState.PENDING
    return _written(
        registration.version + 1,
        {
            "state": None if pending else registration.state,
            "client": registration.client,
            "account": name.account,
            "operation": None if name.operation is Operation.LEAD_UPDATE else name.operation,
            "request_id": name.request_id,
            "callback_url": registration.callback_url,
            "metadata": None if registration.metadata == "{}" else registration.metadata,
            "registered_at": registration.registered_at,
            "deadline_at": _unless_usual(registration.registered_at, registration.deadline_at),
            "submitted_at": registration.submitted_at,
            "outcome": registration.outcome,
            "reason": registration.reason,
            "final_at": registration.final_at,
            "due_at": registration.due_at,
            "delivered_at": registration.delivered_at,
            "death": registration.death,
            "cancelled_at": registration.cancelled_at,
            "attempts": [_lean_attempt(attempt) for attempt in registration.attempts] or None,
            "redeliveries": [[one.at, one.attempts] for one in registration.redeliveries] or None,
            "traceparent": registration.traceparent,
        },
    )


def read_registration(id_: str, value: bytes) -> Registration:
    """Return the registration in a record. Raises UnreadableError."""
    try:
        return _registration(id_, value)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is wrong with it alone
        raise unreadable("registration", type(error).__name__, registration=id_) from None


def _registration(id_: str, value: bytes) -> Registration:
    version, fields = _read(value)
    outcome, death = fields.get("outcome"), fields.get("death")
    operation = Operation(fields.get("operation", Operation.LEAD_UPDATE))
    return Registration(
        id=id_,
        client=fields["client"],
        task_name=TaskName(fields["account"], operation, fields["request_id"]),
        callback_url=fields["callback_url"],
        registered_at=float(fields["registered_at"]),
        deadline_at=_deadline_at(fields),
        submitted_at=fields.get("submitted_at"),
        metadata=fields.get("metadata", "{}"),
        state=RegistrationState(fields.get("state", RegistrationState.PENDING)),
        outcome=None if outcome is None else TaskOutcome(outcome),
        reason=fields.get("reason"),
        final_at=fields.get("final_at"),
        due_at=fields.get("due_at"),
        delivered_at=fields.get("delivered_at"),
        death=None if death is None else DeathReason(death),
        cancelled_at=fields.get("cancelled_at"),
        attempts=tuple(_read_attempt(attempt) for attempt in fields.get("attempts", ())),
        redeliveries=tuple(Redelivery(*one) for one in fields.get("redeliveries", ())),
        traceparent=fields.get("traceparent"),
        version=version,
    )


def read_addressee(value: bytes) -> tuple[str, str]:
    """Return client and callback URL of a registration's record; both are empty in one that cannot be read."""
    try:
        _, fields = _read(value)
        return str(fields["client"]), str(fields["callback_url"])
    except Exception:  # noqa: BLE001 - as soon as it is tried it is read as a whole, and that says what is wrong
        return "", ""


def addressed(client: str, origin: str) -> bytes:
    """Return what the records of registrations of this client, or for this origin, contain; the other is empty."""
    return b'"client":%s' % orjson.dumps(client) if client else b'"callback_url":"%s/' % origin.encode()


def _lean_attempt(attempt: Attempt) -> list[Any]:
    lean = [attempt.at, attempt.outcome, attempt.status_code, attempt.duration_s]
    return [*lean, attempt.excerpt] if attempt.excerpt else lean


def _read_attempt(fields: list[Any]) -> Attempt:
    at, outcome, status_code, duration_s, *excerpt = fields
    return Attempt(at, Outcome(outcome), status_code, duration_s, *excerpt)
