"""The API: routes, what lives with the app, and the one place that turns errors into answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from relay.api import accounts, health, registrations
from relay.api.auth import Keys
from relay.api.problems import on_bug, on_http_error, on_relay_error
from relay.api.state import State
from relay.context import Relay
from relay.domain.errors import RelayError

ROUTES = [
    Route("/v1/registrations", registrations.create, methods=["POST"]),
    Route("/v1/registrations/{id}", registrations.read, methods=["GET"]),
    Route("/v1/accounts/{name}", accounts.read, methods=["GET"]),
    Route("/v1/accounts/{name}", accounts.write, methods=["PUT"]),
    Route("/v1/accounts/{name}", accounts.remove, methods=["DELETE"]),
    *health.ROUTES,
]


def create_app(relay: Relay) -> Starlette:
    """Return the API of a process that holds `relay`."""
    return _app(relay, ROUTES)


def create_health_app(relay: Relay) -> Starlette:
    """Return what a worker shows of itself: liveness, readiness, metrics."""
    return _app(relay, health.ROUTES)


def _app(relay: Relay, routes: list[Route]) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        yield {"relay": relay, "keys": Keys(relay.settings)}

    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={RelayError: on_relay_error, HTTPException: on_http_error, Exception: on_bug},
    )
