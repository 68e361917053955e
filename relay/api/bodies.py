"""Request bodies: capped while they arrive, then decoded. `relay.api.receiving` says by when they must be whole."""

from typing import Any

import orjson

from relay.api.state import AppRequest
from relay.domain.errors import BodyTooLargeError, MalformedBodyError

MAX_BODY_BYTES = 65_536


async def json_body(request: AppRequest, *, max_bytes: int = MAX_BODY_BYTES) -> Any:
    """Return the decoded body. Raises BodyTooLargeError and MalformedBodyError."""
    return decoded(await received(request, max_bytes=max_bytes))


async def received(request: AppRequest, *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body as it came. Raises BodyTooLargeError, and MalformedBodyError when it is not whole."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise BodyTooLargeError(f"at most {max_bytes} bytes")
    return await _capped(request, max_bytes)


def decoded(body: bytes) -> Any:
    """Return what the body says. Raises MalformedBodyError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"the body is not JSON: {error}") from error


async def _capped(request: AppRequest, max_bytes: int) -> bytes:
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise MalformedBodyError("the client left before its body was whole")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > max_bytes:
            raise BodyTooLargeError(f"at most {max_bytes} bytes")
    return body
