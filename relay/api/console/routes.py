"""`/console`: the operator's page. Files of our own, no build step, nothing from another host: its policy says so.

The page signs in by a key that it sends with each call: there is no cookie to steal or to ride on.
"""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
PAGE = files("relay.api.console").joinpath("page")


def _file(path: str, name: str) -> Route:
    """Return the route of one file, which is read once."""
    content, kind = PAGE.joinpath(name).read_bytes(), _TYPES[name[name.rindex(".") :]]

    async def send(_: Request) -> Response:
        return Response(content, headers=_HEADERS, media_type=kind)

    return Route(path, send)


ROUTES = [
    _file("/", "index.html"),  # what a person looks for
    _file("/console", "index.html"),
    *(_file(f"/console/{one.name}", one.name) for one in PAGE.iterdir() if one.name != "index.html"),
]
