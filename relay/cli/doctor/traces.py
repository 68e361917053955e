"""What `relay doctor` checks of traces, when OpenTelemetry's variables ask for them."""

from collections.abc import Mapping
from importlib.util import find_spec

from relay.cli.doctor.check import Check, ok, warning
from relay.traces import ENDPOINTS

_EXTRA = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def check_traces(environment: Mapping[str, str]) -> list[Check]:
    """Return whether what is asked for is installed; nothing when it is not asked for."""
    named = next((name for name in ENDPOINTS if environment.get(name)), None)
    if named is None or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    if all(_installed(module) for module in _EXTRA):
        return [ok("traces", f"spans go where {named} says")]
    return [warning("traces", f"{named} is set, and OpenTelemetry is not there", "install taskstatus-relay[traces]")]


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False
