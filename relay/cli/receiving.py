"""A receiver of callbacks, for `relay listen` and `relay demo`: it verifies each one and tells what it was."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from re import fullmatch
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from relay.domain.signature import Secret, verify

MAX_BODY_BYTES = 1_048_576
REMEMBERED_IDS = 100_000
TOO_LARGE = "too_large"
NOT_SHOWN = "-"


@dataclass(frozen=True, slots=True)
class Received:
    """One callback as it arrived: when (Unix seconds), what it says it is, and why it is refused, if it is.

    `duplicate`: a verified callback with this id came before. What is absent, or unfit for a terminal, is `-`.
    """

    at: float
    webhook_id: str
    type: str
    request_id: str
    refusal: str | None
    duplicate: bool
    since_registered_s: float | None

    @property
    def verified(self) -> bool:
        """Whether a holder of the secret sent it."""
        return self.refusal is None


class Receiver:
    """Answers `answer` to a verified callback, 401 to another and 413 to a large one; `tell` hears of each."""

    def __init__(self, secrets: Sequence[Secret], tell: Callable[[Received], None], *, answer: int = 204) -> None:
        self._secrets = secrets
        self._tell = tell
        self._answer = answer
        self._seen: OrderedDict[str, None] = OrderedDict()

    def app(self) -> Starlette:
        """Return the receiver as an app that takes a POST to any path."""
        return Starlette(routes=[Route("/{path:path}", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        try:
            body = await _capped(request)
        except ClientDisconnect:
            return Response()
        refusal = TOO_LARGE if body is None else verify(self._secrets, request.headers, body, now=time.time())
        received = self._read(request.headers.get("webhook-id"), body or b"", refusal)
        self._tell(received)
        if body is None:
            return Response(status_code=413)
        return Response(status_code=self._answer if received.verified else 401)

    def _read(self, webhook_id: str | None, body: bytes, refusal: str | None) -> Received:
        now = time.time()
        document = _decoded(body)
        registered_at = _instant(_inside(document, "registration", "registered_at"))
        return Received(
            at=now,
            webhook_id=_shown(webhook_id),
            type=_shown(_inside(document, "type")),
            request_id=_shown(_inside(document, "data", "RequestID")),
            refusal=refusal,
            duplicate=refusal is None and self._seen_before(webhook_id or ""),
            since_registered_s=None if registered_at is None else now - registered_at,
        )

    def _seen_before(self, webhook_id: str) -> bool:
        if webhook_id in self._seen:
            return True
        self._seen[webhook_id] = None
        if len(self._seen) > REMEMBERED_IDS:
            self._seen.popitem(last=False)
        return False


async def _capped(request: Request) -> bytes | None:
    """Return the body, or None as soon as it is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _inside(document: Any, *names: str) -> Any:
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _instant(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _shown(text: Any) -> str:
    """Return the text if it is short and visible: whoever can reach the port must not write to the terminal."""
    return text if isinstance(text, str) and fullmatch(r"[\x21-\x7e]{1,128}", text) else NOT_SHOWN
