"""The header fields that a call takes and an answer brings, in the patterns by which they are read."""

from dataclasses import dataclass
from re import Pattern
from typing import Any

from relay.api import correlation
from relay.domain import event, idempotency
from relay.domain.errors import KeyInUseError, QuotaExceededError, RelayError, StoreUnavailableError

_RETRIED = (KeyInUseError, QuotaExceededError, StoreUnavailableError)


@dataclass(frozen=True)
class Header:
    """A header field: what it is for, the pattern of the whole of it (None: any text), and one to begin with."""

    name: str
    means: str
    pattern: Pattern[str] | None = None
    example: str | None = None
    required: bool = False

    @property
    def described(self) -> dict[str, Any]:
        """It as OpenAPI describes a header, but for its name."""
        schema: dict[str, Any] = {"type": "string"}
        if self.pattern is not None:
            schema["pattern"] = f"^({self.pattern.pattern})$"
        if self.example is not None:
            schema["examples"] = [self.example]
        return {"description": self.means, "required": self.required, "schema": schema}


IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "the same answer again for a day, to the same body; a key is refused (422) with another one",
    idempotency.KEY,
    '"8e03978e-40d5"',
)
PREFER = Header("Prefer", "`wait=30` does as `?wait=30` does; what cannot be read is ignored", example="wait=1")
LAST_EVENT_ID = Header("Last-Event-ID", "goes on after that event; `0` begins with the oldest kept", event.ID, "0")
TRACEPARENT = Header(
    "traceparent",
    "goes on with this trace (W3C), through the polls to the callback; what cannot be read is ignored",
    example="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
GIVEN_REQUEST_ID = Header(
    correlation.HEADER,
    f"names the request in the log and the answer, when it is fit for that: `{correlation.FIT.pattern}`",
    example="order-4711",
)
REQUEST_ID = Header(
    correlation.HEADER, "what the log calls the request: as it was given, or made", correlation.FIT, required=True
)

LOCATION = Header("Location", "where it is", required=True)
REPLAYED = Header("Idempotency-Replayed", "`true`: this was answered before")
PREFERENCE_APPLIED = Header("Preference-Applied", "what of `Prefer` has been taken")
_RATE_LIMIT = (
    Header("RateLimit", "what is left of the client's quota, and when it is whole again; none for the admin key"),
    Header("RateLimit-Policy", "the client's quota of calls; none for the admin key"),
)
_RETRY_AFTER = Header("Retry-After", "in how many seconds to send it again")
_AUTHENTICATE = Header("WWW-Authenticate", "how a key is sent", required=True)


def always(status: int, problems: list[type[RelayError]], *, keyed: bool) -> tuple[Header, ...]:
    """Return what any answer with this status brings; `keyed` calls count against a client's quota."""
    if status == 401:
        return (REQUEST_ID, _AUTHENTICATE) if keyed else (REQUEST_ID,)
    retried = any(issubclass(problem, _RETRIED) for problem in problems)
    known = keyed and status != 403
    return (REQUEST_ID, *(_RATE_LIMIT if known else ()), *((_RETRY_AFTER,) if retried else ()))
