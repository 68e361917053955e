"""Who is asking. What is not for everybody begins with `caller_of`, or with `poller_of` in the upstream's place.

It says who asks, whether the key allows it, and whether the client's quota does.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from relay.api.credentials import KnownKey
from relay.api.state import AppRequest
from relay.domain.caller import Caller, Scope
from relay.domain.errors import ForbiddenError, QuotaExceededError, UnauthorizedError
from relay.domain.quota import REQUESTS


def caller_of(request: AppRequest, scope: Scope) -> Caller:
    """Return who asks, and count the call.

    Raises UnauthorizedError, ForbiddenError when the key lacks the scope, QuotaExceededError.
    """
    key = _known(request, _bearer(request.headers), scope, "Authorization: Bearer <key>")
    if key.has_quota:
        standing = request.state["standing"] = request.state["ledger"].spend(key.caller.client)
        if standing.exceeded:
            raise QuotaExceededError(REQUESTS, f"at most {standing.limit} calls/seconds", standing.resets_in_s)
    return key.caller


def poller_of(request: AppRequest) -> Caller:
    """Return who polls the status API that stands in for the upstream's. It knows no quota: polling costs us little.

    Raises UnauthorizedError, ForbiddenError.
    """
    presented = request.headers.get("x-api-key", "").encode("latin-1")
    return _known(request, presented, Scope.READ, "x-api-key: <key>").caller


def _known(request: AppRequest, presented: bytes, scope: Scope, header: str) -> KnownKey:
    key = request.state["keys"].find(presented)
    if key is None:
        raise UnauthorizedError(f"send a known key: `{header}`")
    request.state["ledger"].used(key.fingerprint)
    if not key.caller.may(scope):
        raise ForbiddenError(f"this key lacks the scope `{scope}`")
    return key


def _bearer(headers: Headers) -> bytes:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


class RateLimitFields:
    """Middleware: says in every answer to a known client how it stands (`RateLimit`, `RateLimit-Policy`)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start" and (standing := scope["state"].get("standing")):
                message["headers"] = [*message["headers"], *standing.fields]
            await send(message)

        await self._app(scope, receive, send_with_fields if scope["type"] == "http" else send)
