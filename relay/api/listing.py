"""`GET /v1/registrations`: a page of the client's registrations, newest first."""

import orjson
from starlette.responses import Response

from relay.api.auth import caller_of
from relay.api.rendering import document
from relay.api.state import AppRequest
from relay.domain.caller import Scope
from relay.domain.listing import Listing
from relay.services.browse import browse


async def read_page(request: AppRequest) -> Response:
    """GET /v1/registrations?state=&account=&operation=&request_id=&limit=&cursor=; the admin sees everybody's."""
    caller, relay = caller_of(request, Scope.READ), request.state["relay"]
    wanted = Listing.parse(request.query_params.multi_items())
    clients = await relay.index.clients() if caller.may(Scope.ADMIN) else [caller.client]
    page = await browse(relay, clients, wanted)
    told = {
        "registrations": [document(shown) for shown in page.shown],
        "next_cursor": None if page.next_after is None else page.next_after.cursor(),
    }
    return Response(orjson.dumps(told), media_type="application/json")
