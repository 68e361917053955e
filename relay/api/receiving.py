"""Receiving: whoever sends a request must have sent it whole within a deadline, headers and body.

uvicorn has none: a connection that is fed a byte now and then would be held for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay.api.problems import problem

RECEIVE_S = 10.0


def _written(status_line: bytes, code: str, detail: str) -> bytes:
    """Return a problem as it goes over the wire, for a connection that ends with it."""
    response = problem(408, code, detail)
    fields = (name + b": " + value for name, value in (*response.raw_headers, (b"connection", b"close")))
    return b"\r\n".join((status_line, *fields, b"", bytes(response.body)))


_TOO_SLOW = _written(b"HTTP/1.1 408 Request Timeout", "request_timeout", "the request was not whole in time")


class PromptProtocol(HttpToolsProtocol):
    """Cuts off a connection whose request is not whole `receive_s` seconds after its first byte, or its opening.

    A timer runs only for requests that do not come in one piece. Where reading is paused, as when the handler has not
    taken what is there already, the sender is not to blame and gets as long again.
    """

    def __init__(self, *args: Any, receive_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receive_s = receive_s
        self._deadline: asyncio.TimerHandle | None = None
        self._begun = False
        self._whole = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._await_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._whole or self.transport.is_closing():
            self._await_nothing()
        elif self._deadline is None:
            self._await_rest()

    def on_message_begin(self) -> None:
        self._begun, self._whole = True, False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._whole = True
        super().on_message_complete()

    def _await_rest(self) -> None:
        self._deadline = self.loop.call_later(self._receive_s, self._cut_off)

    def _await_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        self._deadline = None
        if self.flow.read_paused:
            self._await_rest()
            return
        cycle: Any = self.cycle  # none before the first headers are whole
        answering = cycle is not None and cycle.response_started and not cycle.response_complete
        if self._begun and not answering:
            self.transport.write(_TOO_SLOW)
        self.transport.close()
