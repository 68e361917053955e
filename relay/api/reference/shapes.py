"""The shapes of what the API answers, as its reference tells them; a test holds every answer to its shape."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from relay.domain.delivery import Outcome
from relay.domain.event import EventName
from relay.domain.operations import Operation, TaskOutcome
from relay.domain.registration import DeathReason, RegistrationState
from relay.domain.timeline import HappeningName

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339, UTC, milliseconds")]
RegistrationId = Annotated[str, Field(pattern=r"^reg_[0-9a-f]{34}$")]
Opaque = Annotated[dict[str, Any], Field(description="as it came, untouched")]


class Shape(BaseModel):
    """Every field is always there, null where there is nothing to say."""

    model_config = ConfigDict(extra="forbid")


class TaskShape(Shape):
    """What is known of the task: how often it was asked about, and its last TaskStatus as the upstream sent it."""

    polls: Annotated[int, Field(ge=0)]
    last_polled_at: Instant | None
    next_poll_at: Instant | None
    eta_at: Annotated[Instant | None, Field(description="by when it ends with even odds")]
    status: Opaque | None


class AttemptShape(Shape):
    """One try to POST the callback."""

    number: Annotated[int, Field(ge=1)]
    at: Instant
    outcome: Outcome
    status_code: int | None
    duration_s: Annotated[float, Field(ge=0)]
    excerpt: Annotated[str, Field(description="the first KiB of the receiver's answer")]


class EventShape(Shape):
    """One server-sent event; `data` is JSON, the registration in short (the admin's says `client`, too)."""

    event: EventName
    data: str
    id: Annotated[str, Field(description="what Last-Event-ID resumes after; `gap` and `accounts` have none")] = ""


class HappeningShape(BaseModel):
    """One thing that has happened to a registration, with what else there is to say of it."""

    model_config = ConfigDict(extra="allow")

    at: Instant
    event: HappeningName


class TimelineShape(Shape):
    """Everything that has happened to a registration, oldest first; of many polls the last hundred."""

    id: RegistrationId
    events: list[HappeningShape]
    polls_left_out: Annotated[int, Field(ge=0)]


class RegistrationShape(Shape):
    """A registration as it stands."""

    id: RegistrationId
    client: str
    state: RegistrationState
    type: Annotated[TaskOutcome | None, Field(description="how the task ended: the callback's type")]
    reason: Annotated[str | None, Field(description="why the upstream refuses this id for good")]
    account: str
    operation: Operation
    request_id: str
    callback_url: str
    metadata: Opaque
    submitted_at: Instant | None
    registered_at: Instant
    deadline_at: Instant
    final_at: Instant | None
    delivered_at: Instant | None
    next_attempt_at: Instant | None
    death: Annotated[DeathReason | None, Field(description="why it was given up")]
    cancelled_at: Instant | None
    redelivered_at: Instant | None
    task: TaskShape
    attempts: list[AttemptShape]


class PageShape(Shape):
    """A page of registrations, newest first; send `next_cursor` as `cursor` for the next one."""

    registrations: list[RegistrationShape]
    next_cursor: str | None


class OverviewShape(Shape):
    """Who asks (null: the admin, for everybody), and how many registrations are in each state."""

    client: str | None
    scopes: list[str]
    registrations: dict[RegistrationState, int]


class FieldErrorShape(Shape):
    """One wrong field: its JSON pointer, and what is wrong."""

    pointer: str
    detail: str


class ProblemShape(BaseModel):
    """A problem document (RFC 9457). `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldErrorShape] = []


class ResultShape(BaseModel):
    """What became of one registration of a batch: its own status, and the registration or the problem."""

    status: int
    location: str | None = None
    registration: RegistrationShape | None = None
    problem: ProblemShape | None = None


class ResultsShape(Shape):
    """One result for each registration, in order."""

    results: list[ResultShape]


class CallbackTaskShape(BaseModel):
    """What the task came to."""

    RequestID: str
    TaskStatus: Opaque | None
    reason: str | None = None


class CallbackRegistrationShape(BaseModel):
    """Whose callback it is."""

    id: RegistrationId
    account: str
    operation: Operation
    registered_at: Instant
    metadata: Opaque


class CallbackShape(BaseModel):
    """The callback's body, the same bytes on every attempt."""

    type: TaskOutcome
    timestamp: Instant
    data: CallbackTaskShape
    registration: CallbackRegistrationShape


class StatusShape(BaseModel):
    """The upstream's own answer; the id's key is spelt `RequestID` or `RequestId`, as the operation has it."""

    RequestID: str | None = None
    RequestId: str | None = None
    TaskStatus: Opaque


class EnvelopeShape(Shape):
    """The upstream's own form of an error."""

    Status: Annotated[str, Field(pattern="^Error$")]
    ExceptionType: str
    ExceptionMessage: str
