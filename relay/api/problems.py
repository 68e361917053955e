"""Errors as problem documents (RFC 9457): one handler, and nothing else in the API mentions errors."""

from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from relay import log
from relay.domain.errors import DestinationRefusedError, QuotaExceededError, RelayError

logger = log.get(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed"}


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """Return a problem document; `code` is stable, `detail` is for people."""
    document = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return Response(orjson.dumps(document | more), status, media_type="application/problem+json")


def on_relay_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RelayError):
        raise error
    more: dict[str, Any] = {}
    if errors := getattr(error, "errors", ()):
        more["errors"] = [{"pointer": one.pointer, "detail": one.detail} for one in errors]
    if isinstance(error, QuotaExceededError):
        more["violated-policies"] = [error.policy]
    if isinstance(error, DestinationRefusedError):
        more["verdict"] = error.verdict
    response = problem(error.status, error.code, str(error), **more)
    if error.retry_after_s is not None:
        response.headers["retry-after"] = str(error.retry_after_s)
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def on_http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    response = problem(error.status_code, _CODES.get(error.status_code, "http_error"), error.detail)
    response.headers.update(error.headers or {})
    return response


def on_bug(_: Request, error: Exception) -> Response:
    logger.error("bug", exc_info=error)
    return problem(500, "internal_error", "the relay failed; its log says how")
