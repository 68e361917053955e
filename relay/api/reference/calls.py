"""Every call of the API as its reference tells it; a test holds this table to the routes."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from relay.api.accounts import AccountDraft
from relay.api.reference import shapes
from relay.api.registering import MAX_BATCH
from relay.domain.caller import Scope
from relay.domain.draft import Draft
from relay.domain.errors import (
    BodyTooLargeError,
    DestinationRefusedError,
    ForbiddenError,
    IllegalMoveError,
    InvalidRequestError,
    MalformedBodyError,
    NotFoundError,
    QuotaExceededError,
    RelayError,
    StoreUnavailableError,
    UnauthorizedError,
)
from relay.domain.listing import Listing

Model = type[BaseModel]
TEXT, STREAM, JSON = "text/plain", "text/event-stream", "application/json"


class Topic(StrEnum):
    """What a call is about."""

    REGISTRATIONS = "Registrations"
    OPERATOR = "Accounts and clients"
    HEALTH = "Health"


@dataclass(frozen=True)
class Answer:
    """One answer of a call: what it means, its shape (None: no body), its media type, and the headers it adds."""

    means: str
    shape: Model | None = None
    media_type: str = JSON
    headers: tuple[str, ...] = ()


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
    body: Model | None = None
    problems: tuple[type[RelayError], ...] = field(default=())

    @property
    def all_problems(self) -> tuple[type[RelayError], ...]:
        """What it may refuse with; every call with a key shares four."""
        keyed = (UnauthorizedError, ForbiddenError, QuotaExceededError, StoreUnavailableError)
        return self.problems if self.scope is None else (*self.problems, *keyed)


class BatchDraft(BaseModel):
    """Registrations to be made in one call, each taken or refused for itself."""

    model_config = ConfigDict(extra="forbid")

    registrations: list[Any] = Field(min_length=1, max_length=MAX_BATCH, description="each as for one alone")


_BODY = (MalformedBodyError, BodyTooLargeError, InvalidRequestError)
_WISH = (*_BODY, DestinationRefusedError)
_LOCATION = ("Location",)

CALLS = (
    Call(
        "POST", "/v1/registrations", Topic.REGISTRATIONS, "Register: be called back when the task is final",
        Scope.REGISTER, {
            201: Answer("it is written down durably", shapes.RegistrationShape, headers=_LOCATION),
            200: Answer("it was there already", shapes.RegistrationShape, headers=_LOCATION),
        }, body=Draft, problems=_WISH,
    ),
    Call(
        "GET", "/v1/registrations", Topic.REGISTRATIONS, "List registrations, newest first",
        Scope.READ, {200: Answer("a page", shapes.PageShape)}, query=Listing, problems=(InvalidRequestError,),
    ),
    Call(
        "POST", "/v1/registrations/batch", Topic.REGISTRATIONS, "Register many",
        Scope.REGISTER, {200: Answer("one result for each, in order", shapes.ResultsShape)},
        body=BatchDraft, problems=_BODY,
    ),
    Call(
        "GET", "/v1/registrations/{id}", Topic.REGISTRATIONS, "See a registration",
        Scope.READ, {200: Answer("as it stands", shapes.RegistrationShape)}, problems=(NotFoundError,),
    ),
    Call(
        "DELETE", "/v1/registrations/{id}", Topic.REGISTRATIONS, "Cancel: no callback follows",
        Scope.REGISTER, {204: Answer("it is cancelled")}, problems=(NotFoundError, IllegalMoveError),
    ),
    Call(
        "POST", "/v1/registrations/{id}/redeliver", Topic.REGISTRATIONS, "Have a delivered or dead one delivered again",
        Scope.REGISTER, {202: Answer("it is due again", shapes.RegistrationShape)},
        problems=(NotFoundError, IllegalMoveError),
    ),
    Call(
        "GET", "/v1/clients", Topic.OPERATOR, "List clients and when their keys were last used",
        Scope.ADMIN, {200: Answer("every client", shapes.ClientsShape)},
    ),
    Call(
        "GET", "/v1/accounts", Topic.OPERATOR, "List accounts as they stand",
        Scope.ADMIN, {200: Answer("every account", shapes.AccountsShape)},
    ),
    Call(
        "GET", "/v1/accounts/{name}", Topic.OPERATOR, "See an account; its upstream key never comes out",
        Scope.ADMIN, {200: Answer("as it stands", shapes.AccountShape)}, problems=(NotFoundError,),
    ),
    Call(
        "PUT", "/v1/accounts/{name}", Topic.OPERATOR, "Add or change an account",
        Scope.ADMIN, {
            201: Answer("it is added", shapes.AccountShape),
            200: Answer("it is changed", shapes.AccountShape),
        }, body=AccountDraft, problems=(*_BODY, NotFoundError),
    ),
    Call(
        "DELETE", "/v1/accounts/{name}", Topic.OPERATOR, "Remove an account; its pending tasks wait, or expire",
        Scope.ADMIN, {204: Answer("it is removed")}, problems=(NotFoundError,),
    ),
    Call("GET", "/healthz", Topic.HEALTH, "Does the process answer?", None, {200: Answer("yes", shapes.LivenessShape)}),
    Call(
        "GET", "/readyz", Topic.HEALTH, "Does the store answer, and would it keep what is acknowledged?", None, {
            200: Answer("yes, or it is degraded and that is allowed", shapes.ReadinessShape),
            503: Answer("no", shapes.ReadinessShape),
        },
    ),
    Call("GET", "/metrics", Topic.HEALTH, "Prometheus text", None, {200: Answer("the metrics", media_type=TEXT)}),
)  # fmt: skip
