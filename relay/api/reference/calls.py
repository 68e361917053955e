"""Every call of the API as its reference tells it; a test holds this table to the routes."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from relay.api.accounts import AccountDraft
from relay.api.reference import operator_shapes, shapes
from relay.api.reference.headers import (
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    LOCATION,
    PREFER,
    PREFERENCE_APPLIED,
    REPLAYED,
    TRACEPARENT,
    Header,
)
from relay.api.registering import MAX_BATCH
from relay.domain.caller import Scope
from relay.domain.draft import Draft
from relay.domain.errors import (
    BodyTooLargeError,
    DestinationRefusedError,
    ForbiddenError,
    IllegalMoveError,
    InSettingsError,
    InvalidRequestError,
    KeyInUseError,
    KeyReusedError,
    MalformedBodyError,
    MalformedKeyError,
    NotFoundError,
    QuotaExceededError,
    RedeliveriesSpentError,
    RelayError,
    StoreUnavailableError,
    UnauthorizedError,
)
from relay.domain.listing import Listing
from relay.domain.operations import DETAILS
from relay.domain.waiting import WaitQuery

Model = type[BaseModel]
TEXT, STREAM, JSON = "text/plain", "text/event-stream", "application/json"


class Topic(StrEnum):
    """What a call is about."""

    REGISTRATIONS = "Registrations"
    UPSTREAM = "The upstream's status API"
    OPERATOR = "Accounts and clients"
    HEALTH = "Health"


@dataclass(frozen=True)
class Answer:
    """One answer of a call: what it means, its shape (None: no body), its media type, and the headers it adds."""

    means: str
    shape: Model | None = None
    media_type: str = JSON
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True)
class Call:
    """One call: what it does, the scope that its key needs (None: no key), what it takes, and what it answers."""

    method: str
    path: str
    topic: Topic
    does: str
    scope: Scope | None
    answers: dict[int, Answer]
    query: Model | None = None
    headers: tuple[Header, ...] = ()
    body: Model | None = None
    problems: tuple[type[RelayError], ...] = field(default=())
    key: str = "key"

    @property
    def keyed(self) -> bool:
        """Whether it needs a key of our own, and is counted."""
        return self.scope is not None and self.key == "key"

    @property
    def all_problems(self) -> tuple[type[RelayError], ...]:
        """What it may refuse with; every call with a key shares four."""
        keyed = (UnauthorizedError, ForbiddenError, QuotaExceededError, StoreUnavailableError)
        return (*self.problems, *keyed) if self.keyed else self.problems


class BatchDraft(BaseModel):
    """Registrations to be made in one call, each taken or refused for itself."""

    model_config = ConfigDict(extra="forbid")

    registrations: list[Any] = Field(min_length=1, max_length=MAX_BATCH, description="each as for one alone")


class StatusQuery(BaseModel):
    """Which task is asked about."""

    model_config = ConfigDict(extra="forbid")

    RequestID: str = Field(min_length=1, description="as it was registered")
    account: str | None = Field(None, description="whose it is, where several accounts have such an id")


_ENVELOPES = {
    400: "no RequestID, or the upstream refuses it for good",
    401: "no known key",
    403: "the key may not read",
    404: "nothing of this client waits for it, or the upstream refuses it for good",
    500: "what asked for it ended its worker again and again: it was given up",
    503: "the store did not answer",
}


def _status_call(path: str, operation: str) -> Call:
    return Call(
        "GET", path, Topic.UPSTREAM, f"Ask for a task of `{operation}` as at the upstream, without spending its budget",
        Scope.READ, {
            200: Answer("what the upstream has said last", shapes.StatusShape),
            **{status: Answer(means, shapes.EnvelopeShape) for status, means in _ENVELOPES.items()},
        }, query=StatusQuery, key="upstream_key",
    )  # fmt: skip


_BODY = (MalformedBodyError, BodyTooLargeError, InvalidRequestError)
_WISH = (*_BODY, DestinationRefusedError)
_KEPT = (MalformedKeyError, KeyReusedError, KeyInUseError)

CALLS = (
    Call(
        "POST", "/v1/registrations", Topic.REGISTRATIONS, "Register: be called back when the task is final",
        Scope.REGISTER, {
            201: Answer("it is written down durably", shapes.RegistrationShape, headers=(LOCATION, REPLAYED)),
            200: Answer("it was there already", shapes.RegistrationShape, headers=(LOCATION, REPLAYED)),
        }, headers=(IDEMPOTENCY_KEY, TRACEPARENT), body=Draft, problems=(*_WISH, *_KEPT),
    ),
    Call(
        "GET", "/v1/registrations", Topic.REGISTRATIONS, "List registrations, newest first",
        Scope.READ, {200: Answer("a page", shapes.PageShape)}, query=Listing, problems=(InvalidRequestError,),
    ),
    Call(
        "POST", "/v1/registrations/batch", Topic.REGISTRATIONS, "Register many",
        Scope.REGISTER, {200: Answer("one result for each, in order", shapes.ResultsShape, headers=(REPLAYED,))},
        headers=(IDEMPOTENCY_KEY, TRACEPARENT), body=BatchDraft, problems=(*_BODY, *_KEPT),
    ),
    Call(
        "GET", "/v1/registrations/{id}", Topic.REGISTRATIONS, "See a registration, now or once its task is final",
        Scope.READ, {200: Answer("as it stands", shapes.RegistrationShape, headers=(PREFERENCE_APPLIED,))},
        query=WaitQuery, headers=(PREFER,), problems=(InvalidRequestError, NotFoundError),
    ),
    Call(
        "DELETE", "/v1/registrations/{id}", Topic.REGISTRATIONS, "Cancel: no callback follows",
        Scope.REGISTER, {204: Answer("it is cancelled")}, problems=(NotFoundError, IllegalMoveError),
    ),
    Call(
        "POST", "/v1/registrations/{id}/redeliver", Topic.REGISTRATIONS, "Have a delivered or dead one delivered again",
        Scope.REGISTER, {202: Answer("it is due again", shapes.RegistrationShape)},
        problems=(NotFoundError, IllegalMoveError, RedeliveriesSpentError),
    ),
    Call(
        "GET", "/v1/registrations/{id}/events", Topic.REGISTRATIONS, "See everything that has happened to it",
        Scope.READ, {200: Answer("its timeline, oldest first", shapes.TimelineShape)}, problems=(NotFoundError,),
    ),
    Call(
        "GET", "/v1/events", Topic.REGISTRATIONS, "Hear what happens to registrations; Last-Event-ID resumes",
        Scope.READ, {200: Answer("server-sent events, without end", shapes.EventShape, STREAM)},
        headers=(LAST_EVENT_ID,), problems=(InvalidRequestError,),
    ),
    Call(
        "GET", "/v1/overview", Topic.REGISTRATIONS, "Count registrations by state; the admin's are everybody's",
        Scope.READ, {200: Answer("who asks, and the counts", shapes.OverviewShape)},
    ),
    Call(
        "GET", "/v1/clients", Topic.OPERATOR, "List clients and when their keys were last used",
        Scope.ADMIN, {200: Answer("every client", operator_shapes.ClientsShape)},
    ),
    Call(
        "GET", "/v1/accounts", Topic.OPERATOR, "List accounts as they stand",
        Scope.ADMIN, {200: Answer("every account", operator_shapes.AccountsShape)},
    ),
    Call(
        "GET", "/v1/accounts/{name}", Topic.OPERATOR, "See an account; its upstream key never comes out",
        Scope.ADMIN, {200: Answer("as it stands", operator_shapes.AccountShape)}, problems=(NotFoundError,),
    ),
    Call(
        "PUT", "/v1/accounts/{name}", Topic.OPERATOR, "Add or change an account",
        Scope.ADMIN, {
            201: Answer("it is added", operator_shapes.AccountShape),
            200: Answer("it is changed", operator_shapes.AccountShape),
        }, body=AccountDraft, problems=(*_BODY, NotFoundError),
    ),
    Call(
        "DELETE", "/v1/accounts/{name}", Topic.OPERATOR, "Remove an account; its pending tasks wait, or expire",
        Scope.ADMIN, {204: Answer("it is removed")}, problems=(NotFoundError, InSettingsError),
    ),
    *(_status_call(details.status_path, operation) for operation, details in DETAILS.items()),
    Call(
        "GET", "/healthz", Topic.HEALTH, "Does the process answer?", None,
        {200: Answer("yes", operator_shapes.LivenessShape)},
    ),
    Call(
        "GET", "/readyz", Topic.HEALTH, "Does the store answer, and would it keep what is acknowledged?", None, {
            200: Answer("yes, or it is degraded and that is allowed", operator_shapes.ReadinessShape),
            503: Answer("no", operator_shapes.ReadinessShape),
        },
    ),
    Call("GET", "/metrics", Topic.HEALTH, "Prometheus text", None, {200: Answer("the metrics", media_type=TEXT)}),
)  # fmt: skip
