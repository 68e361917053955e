"""`/v1/clients`: the operator sees who may come in, with which keys, and when each was last used."""

import orjson
from starlette.responses import Response

from relay.api.auth import caller_of
from relay.api.credentials import KnownKey
from relay.api.state import AppRequest
from relay.domain.caller import Scope
from relay.domain.instant import rfc3339_or_none
from relay.services.room import under_way


async def list_all(request: AppRequest) -> Response:
    """GET /v1/clients: every client that the settings name. A key shows as its fingerprint alone."""
    caller_of(request, Scope.ADMIN)
    relay, known = request.state["relay"], request.state["keys"].known
    last_used = await relay.clients.last_used([key.fingerprint for key in known])
    clients: dict[str, list[dict[str, object]]] = {}
    for key, used_at in zip(known, last_used, strict=True):
        clients.setdefault(key.caller.client, []).append(_key(key, used_at))
    document = {
        "request_limit": str(relay.settings.client_request_limit),
        "pending_limit": relay.settings.client_pending_limit,
        "clients": [
            {"name": name, "keys": found, "pending": await under_way(relay, name)}
            for name, found in sorted(clients.items())
        ],
    }
    return Response(orjson.dumps(document), media_type="application/json")


def _key(key: KnownKey, used_at: float | None) -> dict[str, object]:
    return {
        "fingerprint": key.fingerprint,
        "scopes": sorted(key.caller.scopes),
        "last_used_at": rfc3339_or_none(used_at),
    }
