"""`/v1/registrations/{id}`: see what became of a registration, cancel it, have it delivered again."""

import time

from starlette.responses import Response

from relay.api.auth import caller_of
from relay.api.rendering import render
from relay.api.state import AppRequest
from relay.domain.caller import Scope
from relay.domain.waiting import patience
from relay.services.cancel import cancel
from relay.services.redeliver import redeliver
from relay.services.show import show, with_task
from relay.services.wait import show_final


async def read(request: AppRequest) -> Response:
    """GET /v1/registrations/{id}; `?wait=30` or `Prefer: wait=30` holds the answer while its task is pending."""
    caller, relay, id_ = caller_of(request, Scope.READ), request.state["relay"], request.path_params["id"]
    within_s, preferred = patience(request.query_params.multi_items(), request.headers.getlist("prefer"))
    if within_s == 0:
        shown = await show(relay, caller, id_)
    else:
        shown = await show_final(relay, request.state["knocks"], caller, id_, within_s=within_s)
    applied = {"preference-applied": f"wait={within_s:g}"} if preferred else {}
    return Response(render(shown), headers=applied, media_type="application/json")


async def remove(request: AppRequest) -> Response:
    """DELETE /v1/registrations/{id}: 204, and no callback follows; 409 when it is settled."""
    caller = caller_of(request, Scope.REGISTER)
    await cancel(request.state["relay"], caller, request.path_params["id"], now=time.time())
    return Response(status_code=204)


async def deliver_again(request: AppRequest) -> Response:
    """POST /v1/registrations/{id}/redeliver: 202 and the registration; 409 unless it is delivered or dead."""
    caller, relay = caller_of(request, Scope.REGISTER), request.state["relay"]
    due = await redeliver(relay, caller, request.path_params["id"], now=time.time())
    return Response(render(await with_task(relay, due)), 202, media_type="application/json")
