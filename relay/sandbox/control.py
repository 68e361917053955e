"""The control API under /sandbox/: behaviour, planned tasks, the report. It needs no key and spends nothing."""

from math import isfinite
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.sandbox import replies
from relay.sandbox.behaviour import TaskPlan, complaint
from relay.sandbox.state import Sandbox
from relay.sandbox.tasks import Task


class Control:
    """The control API of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/report", self.report, methods=["GET"]),
            Route("/sandbox/behaviour", self.behaviour, methods=["GET"]),
            Route("/sandbox/behaviour", self.behave, methods=["PUT"]),
            Route("/sandbox/tasks/{request_id}", self.task, methods=["GET"]),
            Route("/sandbox/tasks/{request_id}", self.plan, methods=["PUT"]),
            Route("/sandbox/reset", self.reset, methods=["POST"]),
        ]

    async def report(self, request: Request) -> Response:
        return replies.json(self._sandbox.report(with_arrivals=request.query_params.get("arrivals") == "1"))

    async def behaviour(self, _request: Request) -> Response:
        return replies.json(self._sandbox.behaviour.model_dump(mode="json"))

    async def behave(self, request: Request) -> Response:
        """Merge the named fields into the behaviour; whatever is wrong, nothing is changed."""
        try:
            self._sandbox.behave(await _json_object(request))
        except (ValidationError, TypeError) as error:
            return _unusable(error)
        return await self.behaviour(request)

    async def task(self, request: Request) -> Response:
        task = self._sandbox.tasks.find(request.path_params["request_id"])
        return replies.json({"error": "no such task"}, 404) if task is None else self._described(task)

    async def plan(self, request: Request) -> Response:
        try:
            plan = TaskPlan.model_validate(await _json_object(request))
        except (ValidationError, TypeError) as error:
            return _unusable(error)
        return self._described(self._sandbox.plan(request.path_params["request_id"], plan))

    async def reset(self, request: Request) -> Response:
        """Forget everything; the behaviour goes back to the first one too, unless asked with ?keep_behaviour=1."""
        keep = request.query_params.get("keep_behaviour") == "1"
        self._sandbox.reset(self._sandbox.behaviour if keep else self._sandbox.initial)
        return Response(status_code=204)

    def _described(self, task: Task) -> Response:
        final_at = task.life.final_at if isfinite(task.life.final_at) else None
        read_at = task.first_read_final_at
        return replies.json(
            {
                "request_id": task.request_id,
                "status": task.life.status_at(self._sandbox.clock()),
                "final_status": task.life.final_status,
                "submitted_at": self._unix(task.submitted_at),
                "final_at": self._unix(final_at),
                "first_read_final_at": self._unix(read_at),
                "detection_lag_s": None if final_at is None or read_at is None else read_at - final_at,
            }
        )

    def _unix(self, instant: float | None) -> float | None:
        return None if instant is None else instant + self._sandbox.clock_to_unix_s


async def _json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body, or raise TypeError."""
    try:
        value = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise TypeError(f"the body is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise TypeError("the body must be a JSON object")
    return value


def _unusable(error: ValidationError | TypeError) -> Response:
    return replies.json({"error": complaint(error) if isinstance(error, ValidationError) else str(error)}, 422)
