"""An upstream's reply, and which of the named answers it is.

Whatever arrives becomes one of them: garbage is never final, and nothing here raises. All the forms are described
in the project's notes on the upstream; a refusal for rate has been seen as 429, as 200 and as 403.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from relay.domain.budget import Limit, named_limit
from relay.domain.operations import FINAL_STATUSES, PENDING_STATUSES, TaskOutcome


class AnswerKind(StrEnum):
    """What a poll meant."""

    PENDING = "pending"
    FINAL = "final"
    THROTTLED = "throttled"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"
    ERROR = "error"
    TIMEOUT = "timeout"
    UNUSABLE = "unusable"


class ThrottleShape(StrEnum):
    """The HTTP status that a refusal for rate came with."""

    STATUS_429 = "429"
    STATUS_200 = "200"
    STATUS_403 = "403"


@dataclass(frozen=True, slots=True)
class Answer:
    """One poll's meaning.

    `task_status` is the TaskStatus object as the upstream sent it (JSON bytes), `outcome` is set when the answer is
    final, `retryable_error` says that a final ERROR names no MX exception, so the upstream may still retry it.
    `shape`, `limit` and `retry_after_s` belong to a refusal for rate. `detail` is for operators and holds no body.
    """

    kind: AnswerKind
    task_status: bytes | None = None
    outcome: TaskOutcome | None = None
    retryable_error: bool = False
    shape: ThrottleShape | None = None
    limit: Limit | None = None
    retry_after_s: float | None = None
    detail: str = ""


_RATE_EXCEPTION = "MXAPIRateLimitExceededException"
_RATE_WORDS = "API calls exceeded the limit"
_MX_EXCEPTION = re.compile(rb"MX\w*Exception")
_SHAPES = {429: ThrottleShape.STATUS_429, 200: ThrottleShape.STATUS_200, 403: ThrottleShape.STATUS_403}
_REFUSALS = {400: AnswerKind.REJECTED, 404: AnswerKind.REJECTED}
_UNAUTHORIZED = frozenset({401, 403})


def read(status_code: int, body: bytes, *, request_id: str, retry_after_s: float | None = None) -> Answer:
    """Return what the upstream's reply to the poll of `request_id` means. Never raises.

    `body` is at most as long as the client's cap; `retry_after_s` is the reply's Retry-After in seconds, if any.
    """
    document = _decode(body)
    return _refusal(status_code, body, document, retry_after_s) or _read_status(document, request_id)


def refusal(status_code: int, body: bytes, *, retry_after_s: float | None = None) -> Answer | None:
    """Return why a reply to any call, a poll or not, answers nothing; None when it may hold an answer."""
    return _refusal(status_code, body, _decode(body), retry_after_s)


def _refusal(status_code: int, body: bytes, document: Any, retry_after_s: float | None) -> Answer | None:
    if _refuses_for_rate(status_code, body, document):
        return _throttled(status_code, body, retry_after_s)
    if status_code in _UNAUTHORIZED:
        return Answer(AnswerKind.UNAUTHORIZED, detail=f"http {status_code}")
    if status_code in _REFUSALS:
        return Answer(_REFUSALS[status_code], detail=f"http {status_code}")
    return None if status_code == 200 else Answer(AnswerKind.ERROR, detail=f"http {status_code}")


def _decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _refuses_for_rate(status_code: int, body: bytes, document: Any) -> bool:
    """Return whether it is one: a 403 may say so anywhere, a 200 only in its envelope, as a task can quote one."""
    if status_code == 403:
        return _RATE_EXCEPTION.encode() in body or _RATE_WORDS.encode() in body
    return status_code == 429 or (status_code == 200 and _is_rate_envelope(document))


def _is_rate_envelope(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    message = document.get("ExceptionMessage") or document.get("message")
    return document.get("ExceptionType") == _RATE_EXCEPTION or (isinstance(message, str) and _RATE_WORDS in message)


def _throttled(status_code: int, body: bytes, retry_after_s: float | None) -> Answer:
    return Answer(
        AnswerKind.THROTTLED,
        shape=_SHAPES[status_code],
        limit=named_limit(body[:4096].decode("utf-8", "replace")),
        retry_after_s=retry_after_s,
    )


def _read_status(document: Any, request_id: str) -> Answer:
    if not isinstance(document, dict):
        return Answer(AnswerKind.UNUSABLE, detail="not a JSON object")
    echoed = next((value for key, value in document.items() if key.lower() == "requestid"), None)
    if not isinstance(echoed, str) or echoed.lower() != request_id.lower():
        return Answer(AnswerKind.UNUSABLE, detail="another RequestID, or none")
    task_status = document.get("TaskStatus")
    status = task_status.get("Status") if isinstance(task_status, dict) else None
    if not isinstance(task_status, dict) or not isinstance(status, str):
        return Answer(AnswerKind.UNUSABLE, detail="no TaskStatus with a Status")
    return _judge_status(task_status, status.strip().lower())


def _judge_status(task_status: dict[str, Any], status: str) -> Answer:
    try:
        raw = orjson.dumps(task_status)
    except orjson.JSONEncodeError:
        return Answer(AnswerKind.UNUSABLE, detail="a TaskStatus nested too deep to hand on")
    outcome = FINAL_STATUSES.get(status)
    if outcome is None:
        known = status in PENDING_STATUSES
        return Answer(AnswerKind.PENDING, raw, detail="" if known else "an unlisted Status, taken as pending")
    retryable = outcome is TaskOutcome.ERRORED and not _names_mx_exception(task_status)
    return Answer(AnswerKind.FINAL, raw, outcome, retryable_error=retryable)


def _names_mx_exception(task_status: dict[str, Any]) -> bool:
    """Exceptions whose name starts with MX are not retried by the upstream (vendor)."""
    told = orjson.dumps([task_status.get("StatusReason"), task_status.get("Message")])
    return _MX_EXCEPTION.search(told) is not None
