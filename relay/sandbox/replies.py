"""What the vendor's API answers: bodies, envelopes and their deliberate distortions."""

import math
from typing import Any

import orjson
from starlette.responses import Response

from relay.sandbox.behaviour import Behaviour, IdKey, InnerShape, RefusalShape
from relay.sandbox.faults import Fault
from relay.sandbox.operations import Operation
from relay.sandbox.plan import Status
from relay.sandbox.tasks import Task
from relay.sandbox.window import Limit

REASONS: dict[str, str] = {
    Status.IN_QUEUE: "Request is in queue",
    Status.SUCCESS: "Request was successfully completed",
    Status.FAILURE: "MXInvalidInputException: the value given for mx_City is not valid",
    Status.ERROR: "MXInternalErrorException: the request could not be processed",
}
RETRIED_ERROR_REASON = "System.TimeoutException: unable to connect to the database"
_ENVELOPES = {
    Fault.BAD_REQUEST: ("MXInvalidInputException", "The request is not as per API specification"),
    Fault.UNAUTHORIZED: ("MXUnauthorizedException", "The API call was made with invalid access credentials"),
    Fault.NOT_FOUND: ("MXNotFoundException", "The API could not be found. Please check the API signature"),
    Fault.SERVER_ERROR: ("MXInternalServerErrorException", "The API call failed"),
}
_GATEWAY_TITLES = {
    Fault.BAD_GATEWAY: "Bad Gateway",
    Fault.UNAVAILABLE: "Service Temporarily Unavailable",
    Fault.GATEWAY_TIMEOUT: "Gateway Time-out",
}
SUCCESS_MESSAGE = {"Status": "Success", "Message": {"AffectedRows": 1}}
OTHER_REQUEST_ID = "ffffffff-ffff-4fff-8fff-ffffffffffff"


def json(content: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status_code, headers, media_type="application/json")


def envelope(status_code: int, exception: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as the vendor words it."""
    body = {"Status": "Error", "ExceptionType": exception, "ExceptionMessage": message}
    return json(body, status_code, headers)


def accepted(request_id: str) -> Response:
    text = "Request accepted. Please use below request id to check the status"
    return json({"Status": text, "RequestID": request_id})


def refused(shape: RefusalShape, limit: Limit, retry_after_s: float | None) -> Response:
    """Return a refusal for rate; Retry-After is in whole seconds, rounded up."""
    text = f"API calls exceeded the limit of {limit.calls} in {limit.window_s:g} second(s)"
    headers = None if retry_after_s is None else {"Retry-After": str(max(1, math.ceil(retry_after_s)))}
    return envelope(int(shape), "MXAPIRateLimitExceededException", text, headers)


def metrics(pending: int, max_delay_s: float, per_minute: float) -> Response:
    return json(
        {
            "PendingMessages": pending,
            "MaxDelayInSeconds": int(max_delay_s),
            "ProcessingRatePerMinute": per_minute,
        }
    )


def status_body(task: Task, operation: Operation, behaviour: Behaviour, now: float) -> dict[str, Any]:
    """Return the body of a status reply at `now`, in the configured spellings and shapes; its first key is the id's."""
    status = task.life.status_at(now)
    pending = status == Status.IN_QUEUE
    return {
        operation.id_key if behaviour.id_key is IdKey.DOCUMENTED else str(behaviour.id_key): task.request_id,
        "TaskStatus": {
            "TaskType": operation.task_type,
            "Status": behaviour.error_spelling if status == Status.ERROR else status,
            "StatusReason": _reason(task, status, final=now >= task.life.final_at),
            "TaskCurrentStep": "In-Process-Queue" if pending else None,
            "TaskLastStep": None if pending else "In-Process-Queue",
            "RequestBody": _shaped_text(task.request_body, behaviour.request_body),
            "Message": _shaped(SUCCESS_MESSAGE, behaviour.message) if status.casefold() == "success" else None,
        },
    }


def _reason(task: Task, status: str, *, final: bool) -> str:
    if final and task.reason is not None:
        return task.reason
    if status == Status.ERROR and not final:
        return RETRIED_ERROR_REASON
    return REASONS.get(status, f"Request ended as {status}")


def _shaped_text(text: str, shape: InnerShape) -> Any:
    return text if shape is InnerShape.STRING else _shaped(orjson.loads(text), shape)


def _shaped(value: Any, shape: InnerShape) -> Any:
    match shape:
        case InnerShape.STRING:
            return _text(value)
        case InnerShape.STRING_IN_STRING:
            return _text(_text(value))
        case InnerShape.BROKEN_STRING:
            return _text(value)[:-1]
        case InnerShape.OBJECT:
            return value if isinstance(value, dict) else {"Value": value}
        case InnerShape.ARRAY:
            return value if isinstance(value, list) else [value]
        case InnerShape.NULL:
            return None


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def bent(body: dict[str, Any], fault: Fault, behaviour: Behaviour) -> Response:
    """Return a status body with one of BENT_BODIES done to it."""
    id_key = next(iter(body))
    task_status = body["TaskStatus"]
    match fault:
        case Fault.WRONG_ID:
            return json(body | {id_key: OTHER_REQUEST_ID})
        case Fault.NO_TASK_STATUS:
            return json({id_key: body[id_key]})
        case Fault.UNLISTED_STATUS:
            return json(body | {"TaskStatus": task_status | {"Status": behaviour.unlisted_status, "Message": None}})
        case Fault.HUGE:
            return json(body | {"TaskStatus": task_status | {"RequestBody": "x" * behaviour.huge_bytes}})
        case _:
            text = orjson.dumps(body)
            return Response(text[: len(text) // 2], media_type="application/json")


def faulty(fault: Fault) -> Response:
    """Return the reply of a fault that needs no task."""
    if fault in _ENVELOPES:
        return envelope(int(fault), *_ENVELOPES[fault])
    if fault in _GATEWAY_TITLES:
        return _gateway_page(f"{fault} {_GATEWAY_TITLES[fault]}", int(fault))
    if fault is Fault.FORBIDDEN:
        return json({"message": "Forbidden"}, 403)
    return Response(b"\x00\xff<<not json>>", media_type="application/json")


def _gateway_page(title: str, status_code: int) -> Response:
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return Response(page, status_code, media_type="text/html")
