"""One attempt to deliver a callback: how it can end, and when the next one is."""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

from relay.domain.destination import Verdict

MAX_HINT_S = 86_400.0
EXCERPT_BYTES = 1_024
_MAX_RETRY_AFTER_LENGTH = 64


class Outcome(StrEnum):
    """How an attempt ended.

    delivered: 2xx. redirect: 3xx, not followed. gone: 410. throttled: 429. client_error, server_error: other 4xx, 5xx.
    timeout, dns_error, connect_error, tls_error, protocol_error: no usable answer. refused: the destination policy.
    """

    DELIVERED = "delivered"
    REDIRECT = "redirect"
    GONE = "gone"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    THROTTLED = "throttled"
    TIMEOUT = "timeout"
    DNS_ERROR = "dns_error"
    CONNECT_ERROR = "connect_error"
    TLS_ERROR = "tls_error"
    PROTOCOL_ERROR = "protocol_error"
    REFUSED = "refused"


_BY_STATUS = {410: Outcome.GONE, 429: Outcome.THROTTLED}
_BY_CLASS = {2: Outcome.DELIVERED, 3: Outcome.REDIRECT, 4: Outcome.CLIENT_ERROR, 5: Outcome.SERVER_ERROR}


def outcome_of(status_code: int) -> Outcome:
    """Return what a final status code means; one that HTTP does not know is a protocol error."""
    return _BY_STATUS.get(status_code) or _BY_CLASS.get(status_code // 100, Outcome.PROTOCOL_ERROR)


@dataclass(frozen=True, slots=True)
class Reply:
    """How one attempt went.

    `status_code` is None when no answer came. `retry_at` is the receiver's Retry-After as an instant (Unix seconds).
    `excerpt` is at most the first KiB of the answer's body. `detail` and `verdict`, why a destination was refused, are
    for operators alone: a client could learn from them what a name means inside.
    """

    outcome: Outcome
    status_code: int | None = None
    retry_at: float | None = None
    duration_s: float = 0.0
    excerpt: bytes = b""
    detail: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`delays_s[k]` is the wait before attempt k, counted from the end of the one before; `jitter` a fraction of it."""

    delays_s: tuple[float, ...] = (0, 5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000)
    jitter: float = 0.2
    max_hint_s: float = MAX_HINT_S


def next_attempt_at(
    policy: RetryPolicy, *, attempts: int, hint_at: float | None, now: float, dice: float
) -> float | None:
    """Return when to try the callback again (Unix seconds), or None when the schedule is spent.

    `attempts` counts the tries already made. `hint_at` is the receiver's Retry-After as an instant; the later of
    hint and schedule holds, the hint at most `policy.max_hint_s` away. `dice` in [0, 1) only ever delays, by up to
    `policy.jitter` of the wait.
    """
    if attempts >= len(policy.delays_s):
        return None
    delay_s = policy.delays_s[attempts] * (1 + policy.jitter * dice)
    return max(now + delay_s, min(hint_at or 0, now + policy.max_hint_s))


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the instant (Unix seconds) that a Retry-After header names, at most a day away; None if it names none.

    Both forms of RFC 9110, seconds and a date, are read; garbage is ignored.
    """
    if value is None or len(value) > _MAX_RETRY_AFTER_LENGTH:
        return None
    text = value.strip()
    at = now + int(text) if text.isascii() and text.isdigit() else _parse_date(text)
    return None if at is None else min(at, now + MAX_HINT_S)


def _parse_date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
