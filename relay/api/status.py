"""The upstream's own status API, answered from what the relay knows: a poller's base URL is all that must change.

Shape, spelling and error envelope are the upstream's. It spends nothing of the budget and knows no 429.
"""

import re
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from relay.api.auth import poller_of
from relay.api.state import AppRequest
from relay.domain.caller import Scope
from relay.domain.errors import RelayError
from relay.domain.operations import DETAILS, Operation
from relay.domain.task import TaskState
from relay.services.look_up import look_up
from relay.services.show import Shown

_EXCEPTIONS = {
    400: "MXInvalidInputException",
    401: "MXUnauthorizedException",
    403: "MXUnauthorizedException",
    404: "MXNotFoundException",
}
_REFUSED = re.compile(r"http (\d{3})")
_PLAIN_PATH = re.compile(r"/[\w./-]+")


class _Asker:
    """Answers the status calls of one operation."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    async def answer(self, request: AppRequest) -> Response:
        """GET <submit path>/status?RequestID=, header `x-api-key`; `account` names the account, when that is needed."""
        try:
            caller = poller_of(request)
            asked = {name.lower(): value for name, value in reversed(request.query_params.multi_items())}
            request_id = asked.get("requestid", "")
            if not request_id:
                return _envelope(400, "RequestID is missing in the query")
            relay = request.state["relay"]
            clients = await relay.index.clients() if caller.may(Scope.ADMIN) else [caller.client]
            shown = await look_up(relay, clients, self._operation, request_id, account=asked.get("account"))
        except RelayError as error:
            return _refusal(error)
        return _status(shown)


ROUTES = [
    Route(details.status_path, _Asker(operation).answer, methods=["GET"]) for operation, details in DETAILS.items()
]


def routes_at(own_path: str | None) -> list[Route]:
    """Return the status call of `lead.update` at the path that the operator has set for it, if any."""
    if own_path is None or _PLAIN_PATH.fullmatch(own_path) is None:
        return []
    return [Route(own_path, _Asker(Operation.LEAD_UPDATE).answer, methods=["GET"])]


def _status(shown: Shown) -> Response:
    """Return the upstream's last word on the task; before its first, that it is in the queue."""
    name, task = shown.registration.task_name, shown.task
    if task is None or task.state is TaskState.ABANDONED:
        return _envelope(404, "the relay asks for this RequestID no more: its deadline has passed, or it was cancelled")
    if task.state is TaskState.REJECTED:
        refused = _REFUSED.fullmatch(task.reason or "")
        return _envelope(int(refused[1]) if refused else 500, f"this RequestID was given up: {task.reason}")
    details = DETAILS[name.operation]
    status: Any = _unseen(details.task_type) if shown.task_status is None else orjson.Fragment(shown.task_status)
    return _json({details.id_key: name.request_id, "TaskStatus": status}, 200)


def _unseen(task_type: str) -> dict[str, str | None]:
    return {
        "TaskType": task_type,
        "Status": "In-Queue",
        "StatusReason": "Request is in queue",
        "TaskCurrentStep": None,
        "TaskLastStep": None,
        "RequestBody": None,
        "Message": None,
    }


def _refusal(error: RelayError) -> Response:
    response = _envelope(error.status, str(error))
    if error.retry_after_s is not None:
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


def _envelope(status: int, message: str) -> Response:
    exception = _EXCEPTIONS.get(status, "MXInternalServerErrorException")
    return _json({"Status": "Error", "ExceptionType": exception, "ExceptionMessage": message}, status)


def _json(document: dict[str, Any], status: int) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
