"""`/v1/registrations`: register, and see what became of it."""

import time
from typing import Any

import orjson
from starlette.responses import Response

from relay import metrics
from relay.api.auth import caller_of
from relay.api.bodies import json_body
from relay.api.state import AppRequest
from relay.domain.caller import Scope
from relay.domain.draft import Draft
from relay.domain.errors import RelayError, StoreUnavailableError
from relay.domain.instant import rfc3339, rfc3339_or_none
from relay.domain.registration import Attempt, RegistrationState
from relay.domain.task import Looks, TaskState
from relay.services.register import register
from relay.services.show import Shown, show, with_task


async def create(request: AppRequest) -> Response:
    """POST /v1/registrations: 201 when new, 200 when there already."""
    caller, relay = caller_of(request, Scope.REGISTER), request.state["relay"]
    try:
        draft = Draft.parse(await json_body(request))
        registration, created = await register(relay, caller.client, draft, now=time.time())
    except RelayError as error:
        unavailable = isinstance(error, StoreUnavailableError)
        metrics.REGISTRATIONS_TOTAL.labels("unavailable" if unavailable else "refused").inc()
        raise
    metrics.REGISTRATIONS_TOTAL.labels("created" if created else "existing").inc()
    fresh = created and registration.state is RegistrationState.PENDING
    shown = Shown(registration, None, None) if fresh else await with_task(relay, registration)
    headers = {"location": f"/v1/registrations/{registration.id}"}
    return Response(render(shown), 201 if created else 200, headers, media_type="application/json")


async def read(request: AppRequest) -> Response:
    """GET /v1/registrations/{id}."""
    caller = caller_of(request, Scope.READ)
    shown = await show(request.state["relay"], caller, request.path_params["id"])
    return Response(render(shown), media_type="application/json")


def render(shown: Shown) -> bytes:
    """Return a registration as the contract writes it."""
    registration, name = shown.registration, shown.registration.task_name
    return orjson.dumps(
        {
            "id": registration.id,
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
            "task": _task(shown),
            "attempts": [_attempt(number, attempt) for number, attempt in enumerate(registration.attempts, start=1)],
        }
    )


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
