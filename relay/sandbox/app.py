"""A stand-in for the vendor's asynchronous API: its seven operations and a control API of its own under /sandbox/."""

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from relay.sandbox.behaviour import Behaviour
from relay.sandbox.connection import reveal_transport
from relay.sandbox.control import Control
from relay.sandbox.operations import OPERATIONS
from relay.sandbox.state import Sandbox
from relay.sandbox.upstream import Upstream


class SandboxApp(Starlette):
    """Starlette, with the connection's transport kept for the faults that break it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reveal_transport(scope, send)
        await super().__call__(scope, receive, send)


def create_app(behaviour: Behaviour | None = None, clock: Callable[[], float] = time.monotonic) -> Starlette:
    """Return a sandbox of its own; `clock` gives monotonic seconds, by which calls are judged and tasks end."""
    sandbox = Sandbox(behaviour or Behaviour(), clock)
    return SandboxApp(routes=[*_upstream_routes(sandbox), *Control(sandbox).routes()])


def _upstream_routes(sandbox: Sandbox) -> list[Route]:
    """Return the vendor's routes; status routes first, for Starlette tries one after another."""
    served = [(operation, Upstream(sandbox, operation)) for operation in OPERATIONS]
    return [
        *(Route(operation.status_path, upstream.status, methods=["GET"]) for operation, upstream in served),
        *(Route(operation.metrics_path, upstream.metrics, methods=["GET"]) for operation, upstream in served),
        *(Route(operation.submit_path, upstream.submit, methods=["POST"]) for operation, upstream in served),
    ]
