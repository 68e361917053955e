"""The API: routes, what lives with the app, and the one place that turns errors into answers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from relay.api import (
    accounts,
    clients,
    events,
    health,
    listing,
    overview,
    registering,
    registrations,
    status,
    timeline,
)
from relay.api.auth import RateLimitFields
from relay.api.console import routes as console
from relay.api.correlation import Correlation
from relay.api.credentials import Keys
from relay.api.ledger import Ledger
from relay.api.problems import on_bug, on_http_error, on_relay_error
from relay.api.reference import routes as reference
from relay.api.resources import resources
from relay.api.state import State
from relay.context import Relay
from relay.domain.errors import RelayError
from relay.store.knocks import Knocks

ROUTES = [
    Route("/v1/registrations", registering.create, methods=["POST"]),
    Route("/v1/registrations", listing.read_page, methods=["GET"]),
    Route("/v1/registrations/batch", registering.create_many, methods=["POST"]),
    Route("/v1/registrations/{id}", registrations.read, methods=["GET"]),
    Route("/v1/registrations/{id}", registrations.remove, methods=["DELETE"]),
    Route("/v1/registrations/{id}/redeliver", registrations.deliver_again, methods=["POST"]),
    Route("/v1/registrations/{id}/events", timeline.read_timeline, methods=["GET"]),
    Route("/v1/events", events.read_stream, methods=["GET"]),
    Route("/v1/overview", overview.read, methods=["GET"]),
    Route("/v1/clients", clients.list_all, methods=["GET"]),
    Route("/v1/accounts", accounts.list_all, methods=["GET"]),
    Route("/v1/accounts/{name}", accounts.read, methods=["GET"]),
    Route("/v1/accounts/{name}", accounts.write, methods=["PUT"]),
    Route("/v1/accounts/{name}", accounts.remove, methods=["DELETE"]),
    *status.ROUTES,
    *health.ROUTES,
    *reference.ROUTES,
    *console.ROUTES,
]


def create_app(relay: Relay) -> Starlette:
    """Return the API of a process that holds `relay`."""
    return _app(relay, [*ROUTES, *status.routes_at(relay.settings.upstream_status_path)])


def create_health_app(relay: Relay) -> Starlette:
    """Return what a worker shows of itself: liveness, readiness, metrics."""
    return _app(relay, health.ROUTES)


def _app(relay: Relay, routes: list[Route]) -> Starlette:
    knocks = Knocks(relay.store)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        ledger = Ledger(relay.clients, relay.settings.client_request_limit)
        duties = [asyncio.create_task(duty) for duty in (ledger.keep(), knocks.run())]
        try:
            yield {
                "relay": relay,
                "keys": Keys(relay.settings),
                "ledger": ledger,
                "knocks": knocks,
                "streams": Counter(),
            }
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.gather(*duties, return_exceptions=True)

    app = Starlette(
        routes=resources(routes),
        middleware=[Middleware(Correlation), Middleware(RateLimitFields)],
        lifespan=lifespan,
        exception_handlers={RelayError: on_relay_error, HTTPException: on_http_error, Exception: on_bug},
    )
    app.router.redirect_slashes = False  # not every client follows, and behind a proxy it would lead to another scheme
    app.state.end_waiting = knocks.end
    return app
