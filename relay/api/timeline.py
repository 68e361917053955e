"""`GET /v1/registrations/{id}/events`: everything that has happened to one registration."""

import orjson
from starlette.responses import Response

from relay.api.auth import caller_of
from relay.api.state import AppRequest
from relay.domain.caller import Scope
from relay.domain.instant import rfc3339
from relay.services.recount import recount


async def read_timeline(request: AppRequest) -> Response:
    """GET /v1/registrations/{id}/events."""
    caller, id_ = caller_of(request, Scope.READ), request.path_params["id"]
    told = await recount(request.state["relay"], caller, id_)
    document = {
        "id": id_,
        "events": [{"at": rfc3339(one.at), "event": one.name, **one.more} for one in told.happenings],
        "polls_left_out": told.polls_left_out,
    }
    return Response(orjson.dumps(document), media_type="application/json")
