"""What a fault does to the connection itself, below HTTP."""

import socket
import struct

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

TRANSPORT = "sandbox.transport"
"""Where `reveal_transport` leaves the connection's transport in the ASGI scope."""
_LINGER_NOT = struct.pack("ii", 1, 0)


def reveal_transport(scope: Scope, send: Send) -> None:
    """Keep the transport that uvicorn's `send` writes to; ASGI has no other way to it."""
    scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)


class ResetConnection(Response):
    """In place of a reply: the connection is reset (TCP RST)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - it sends nothing
        transport = scope[TRANSPORT]
        if transport is None:
            raise ConnectionResetError("reset by the sandbox")  # no socket: the app is called in process
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
        await until_gone(Request(scope, receive))


async def until_gone(request: Request) -> None:
    """Wait until the caller has given the connection up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
