"""Who is asking. Every handler under `/v1` begins with `caller_of`, and nothing else lets anybody in.

It says who asks, whether the key allows it, and whether the client's quota does.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from relay.api.state import AppRequest
from relay.domain.caller import Caller, Scope
from relay.domain.errors import ForbiddenError, QuotaExceededError, UnauthorizedError
from relay.domain.quota import REQUESTS


def caller_of(request: AppRequest, scope: Scope) -> Caller:
    """Return who asks, and count the call.

    Raises UnauthorizedError, ForbiddenError when the key lacks the scope, QuotaExceededError.
    """
    key = request.state["keys"].find(_bearer(request.headers))
    if key is None:
        raise UnauthorizedError("send a known key: `Authorization: Bearer <key>`")
    ledger = request.state["ledger"]
    ledger.used(key.fingerprint)
    if not key.caller.may(scope):
        raise ForbiddenError(f"this key lacks the scope `{scope}`")
    if key.has_quota:
        standing = request.state["standing"] = ledger.spend(key.caller.client)
        if standing.exceeded:
            raise QuotaExceededError(REQUESTS, f"at most {standing.limit} calls/seconds", standing.resets_in_s)
    return key.caller


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
