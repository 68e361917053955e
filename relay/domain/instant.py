"""Instants: Unix seconds inside, RFC 3339 UTC with milliseconds outside."""

from datetime import UTC, datetime


def rfc3339(at: float) -> str:
    """Return `at` (Unix seconds) as `2026-11-23T10:00:07.120Z`."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def rfc3339_or_none(at: float | None) -> str | None:
    """Return `at` (Unix seconds) as RFC 3339, or None when it has not come yet."""
    return None if at is None else rfc3339(at)
