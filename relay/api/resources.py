"""Resources: one for each path, which knows all of its methods."""

from collections.abc import Iterable
from typing import Any

from starlette.endpoints import HTTPEndpoint
from starlette.routing import Route


def resources(routes: Iterable[Route]) -> list[Route]:
    """Return the routes, those of one path together: a method that none of them has is 405, and names those there are.

    Apart, the first route of a path would answer for all, and `/v1/registrations/batch` would be somebody's id.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        handlers = paths.setdefault(route.path, {})
        for method in (route.methods or set()) - {"HEAD"}:
            handlers[method.lower()] = staticmethod(route.endpoint)
    return [Route(path, type("Resource", (HTTPEndpoint,), handlers)) for path, handlers in paths.items()]
