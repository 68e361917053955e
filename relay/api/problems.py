"""Errors as problem documents (RFC 9457): one handler, and nothing else in the API mentions errors."""

from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from relay import log
from relay.api.correlation import HEADER
from relay.domain.errors import DestinationRefusedError, QuotaExceededError, RelayError

logger = log.get(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed"}
_DETAILS = {404: "there is nothing at this path", 405: "this path has other methods: `allow` names them"}


def problem(status: int, code: str, detail: str) -> Response:
    """Answer with a problem document; `code` is stable, `detail` is for people."""
    return _answer(_document(status, code, detail))


def problem_of(error: RelayError) -> dict[str, Any]:
    """Return the problem document of an expected error."""
    document = _document(error.status, error.code, str(error))
    if errors := getattr(error, "errors", ()):
        document["errors"] = [{"pointer": one.pointer, "detail": one.detail} for one in errors]
    if isinstance(error, QuotaExceededError):
        document["violated-policies"] = [error.policy]
    if isinstance(error, DestinationRefusedError):
        document["verdict"] = error.verdict
    return document


def _document(status: int, code: str, detail: str) -> dict[str, Any]:
    title = code.replace("_", " ")
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}


def _answer(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), document["status"], media_type="application/problem+json")


def on_relay_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RelayError):
        raise error
    response = _answer(problem_of(error))
    if error.retry_after_s is not None:
        response.headers["retry-after"] = str(error.retry_after_s)
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def on_http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    response = problem(status, _CODES.get(status, "http_error"), _DETAILS.get(status, error.detail))
    response.headers.update(error.headers or {})
    return response


def on_bug(request: Request, error: Exception) -> Response:
    """Answer for all other middleware: this handler stands outside of it."""
    logger.error("bug", exc_info=error)
    response = problem(500, "internal_error", "the relay failed; its log says how")
    response.headers[HEADER] = request.state.request
    return response
