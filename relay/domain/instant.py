"""Instants: Unix seconds inside, RFC 3339 UTC with milliseconds outside."""

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(at: float) -> str:
    """Return `at` (Unix seconds) as `2026-11-23T10:00:07.120Z`."""
    seconds, micros = divmod(round(at * 1e6), 1_000_000)
    return f"{_second(seconds)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=256)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().removesuffix("+00:00")


def rfc3339_or_none(at: float | None) -> str | None:
    """Return `at` (Unix seconds) as RFC 3339, or None when it has not come yet."""
    return None if at is None else rfc3339(at)
