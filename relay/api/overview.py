"""`GET /v1/overview`: who asks, and how many registrations stand where."""

import orjson
from starlette.responses import Response

from relay.api.auth import caller_of
from relay.api.state import AppRequest
from relay.domain.caller import Scope
from relay.services.overview import overview


async def read(request: AppRequest) -> Response:
    """GET /v1/overview: the client's own registrations by state; the admin's are everybody's."""
    caller, relay = caller_of(request, Scope.READ), request.state["relay"]
    everybody = caller.may(Scope.ADMIN)
    clients = await relay.index.clients() if everybody else [caller.client]
    document = {
        "client": None if everybody else caller.client,
        "scopes": sorted(caller.scopes),
        "registrations": await overview(relay, clients),
    }
    return Response(orjson.dumps(document), media_type="application/json")
