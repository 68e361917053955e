"""Traces: spans from registration to callback, when a collector is named and the extra `traces` is installed.

They are set up by OpenTelemetry's own variables. While off they cost a comparison, and nothing of OpenTelemetry's is
imported.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol

from relay import log

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
Value = str | float

logger = log.get(__name__)


class Span(Protocol):
    """A span under way. `traceparent` names it as the W3C's header does; None while traces are off."""

    traceparent: str | None

    def note(self, **attributes: Value | None) -> None:
        """Add attributes; their names get the prefix `relay.`, and those that are None are left out."""

    def follows(self, traceparent: str | None) -> None:
        """Link to a span of another trace."""


class _Tracing(Protocol):
    def span(self, name: str, parent: str | None, *, inward: bool) -> AbstractContextManager[Span]: ...

    def close(self) -> None: ...


class _Off:
    traceparent: str | None = None

    def note(self, **attributes: Value | None) -> None: ...

    def follows(self, traceparent: str | None) -> None: ...


_OFF = _Off()
_arrived: ContextVar[str | None] = ContextVar("traceparent", default=None)
_tracing: _Tracing | None = None


@contextmanager
def tracing() -> Iterator[None]:
    """Send spans while the block runs, if they are wanted; what is not sent yet is sent at its end."""
    global _tracing  # noqa: PLW0603 - as for logs, there is one for the process
    _tracing = _wanted()
    try:
        yield
    finally:
        if _tracing is not None:
            _tracing.close()
        _tracing = None


def _wanted() -> _Tracing | None:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from relay.spans import Spans  # noqa: PLC0415 - it imports the extra
    except ImportError:
        logger.warning("traces_not_installed", mend="install taskstatus-relay[traces], or set OTEL_SDK_DISABLED=true")
        return None
    return Spans()


def arrived(traceparent: str | None) -> None:
    """Hear which span the request that is being answered belongs to."""
    if _tracing is not None:
        _arrived.set(traceparent)


@contextmanager
def registering() -> Iterator[Span]:
    """Begin the trace of a registration, or go on with its client's."""
    if _tracing is None:
        yield _OFF
        return
    with _tracing.span("register", _arrived.get(), inward=True) as span:
        yield span


@contextmanager
def calling(name: str, traceparent: str | None) -> Iterator[Span]:
    """Go on with the trace of a registration by a call to somebody else; one that has no trace gets none."""
    if _tracing is None or traceparent is None:
        yield _OFF
        return
    with _tracing.span(name, traceparent, inward=False) as span:
        yield span
