"""`/openapi.json` and its page at `/docs`: nothing on it comes from another host."""

from importlib.resources import files
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from relay.api.reference.calls import CALLS
from relay.api.reference.document import openapi
from relay.api.reference.page import html
from relay.api.state import AppRequest

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_SHEET = files("relay.api.reference").joinpath("reference.css").read_bytes()


async def describe(request: AppRequest) -> Response:
    """GET /openapi.json: OpenAPI 3.1."""
    return Response(orjson.dumps(await _document(request)), media_type="application/json")


async def show(request: AppRequest) -> Response:
    """GET /docs: the same for people."""
    return Response(html(await _document(request)), headers=_HEADERS, media_type="text/html")


async def style(_: AppRequest) -> Response:
    """GET /docs/reference.css."""
    return Response(_SHEET, headers=_HEADERS, media_type="text/css")


async def _document(request: AppRequest) -> dict[str, Any]:
    relay = request.state["relay"]
    return openapi(CALLS, relay.destinations, only_default_account=not await relay.accounts.any())


ROUTES = [Route("/openapi.json", describe), Route("/docs", show), Route("/docs/reference.css", style)]
