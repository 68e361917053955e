"""Which request a line of the log, or a trace, belongs to."""

import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay import log, traces

HEADER = "x-request-id"
FIT = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Correlation:
    """Middleware: takes over the caller's `x-request-id` when it is fit for a log, or makes one, and answers with it.

    Every line of the log that answers the request has it as `request`. A `traceparent` is gone on with.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(HEADER, "")
        request = given if FIT.fullmatch(given) else secrets.token_hex(8)
        log.bind(request=request)
        scope["state"]["request"] = request
        traces.arrived(headers.get("traceparent"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request
            await send(message)

        await self._app(scope, receive, send_with_id)
