"""Every variant the sandbox can play: one frozen model, changed only by replacing it."""

from enum import StrEnum
from math import inf
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from relay.sandbox.faults import FaultRule
from relay.sandbox.plan import Durations, Order, Outcome
from relay.sandbox.window import Limit


class WindowKind(StrEnum):
    """How calls are counted against the limit."""

    SLIDING = "sliding"
    FIXED = "fixed"


class RefusalShape(StrEnum):
    """The three forms in which a refusal for rate has been seen, by HTTP status."""

    TOO_MANY_REQUESTS = "429"
    OK = "200"
    FORBIDDEN = "403"


class UnknownTask(StrEnum):
    """What a status call for an unknown RequestID gets."""

    ADOPT = "adopt"  # the task is taken for submitted at that moment
    BAD_REQUEST = "400"
    NOT_FOUND = "404"


class InnerShape(StrEnum):
    """The form of `Message` (on Success) and `RequestBody` inside the status body."""

    STRING = "string"  # a JSON text in a string, as every documented example
    STRING_IN_STRING = "string_in_string"  # encoded once more
    BROKEN_STRING = "broken_string"  # a string that is no JSON
    OBJECT = "object"
    ARRAY = "array"
    NULL = "null"


class IdKey(StrEnum):
    """The spelling of the id key in the status body."""

    DOCUMENTED = "documented"  # each operation as its own page has it
    UPPER = "RequestID"
    LOWER = "RequestId"


class ErrorSpelling(StrEnum):
    """The spelling of the status ERROR."""

    UPPER = "ERROR"
    TITLE = "Error"


def _parsed_limit(value: object) -> object:
    return Limit.parse(value) if isinstance(value, str) else value


def _parsed_durations(value: object) -> object:
    return Durations.parse(value) if isinstance(value, str) else value


LimitText = Annotated[Limit, BeforeValidator(_parsed_limit), PlainSerializer(str)]
DurationsText = Annotated[Durations, BeforeValidator(_parsed_durations), PlainSerializer(str)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Behaviour(BaseModel):
    """The whole of what one sandbox does; `_s` fields are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, description="the same seed gives the same ids, plans and faults")
    api_keys: frozenset[str] = Field(default=frozenset(), description="the accounts; empty: any key is one of its own")
    submit_needs_access_keys: bool = Field(default=False, description="submits need accessKey and secretKey")

    limit: LimitText = Limit(25, 5)
    account_limits: dict[str, LimitText] = Field(default={}, description="limits of single accounts, by key")
    window: WindowKind = WindowKind.SLIDING
    refused_calls_spend: bool = False
    submits_spend: bool = False
    refusal: RefusalShape = RefusalShape.TOO_MANY_REQUESTS
    retry_after: bool = Field(default=False, description="refusals carry Retry-After")

    durations: DurationsText = Durations("lognormal", (3, 0.7))
    order: Order = Order.INDEPENDENT
    workers: int = Field(default=1, ge=1, le=100_000, description="fifo: tasks worked on at a time")
    rate_per_s: float | None = Field(default=None, gt=0, description="fifo: tasks started per second at most")
    mix: dict[Outcome, Annotated[float, Field(ge=0, lt=inf)]] = Field(
        default={Outcome.SUCCESS: 1}, description="weights"
    )
    stuck: Probability = Field(default=0, description="share of tasks that never become final")
    retries: int = Field(default=1, ge=1, le=10, description="error_then_success: the vendor's retry that succeeds")
    retry_scale: float = Field(default=1, ge=0, lt=inf, description="factor on the vendor's retry times")
    unknown: UnknownTask = UnknownTask.ADOPT

    latency: DurationsText = Field(default=Durations("fixed", (0,)), description="how long every answer takes")
    id_key: IdKey = IdKey.DOCUMENTED
    error_spelling: ErrorSpelling = ErrorSpelling.UPPER
    message: InnerShape = InnerShape.STRING
    request_body: InnerShape = InnerShape.STRING
    unlisted_status: str = Field(default="In-Progress", description="what the fault unlisted_status says")
    huge_bytes: int = Field(default=8_000_000, ge=0, le=1_000_000_000, description="padding of the fault huge")
    faults: tuple[FaultRule, ...] = Field(default=(), description="the first that strikes a call holds")

    @field_validator("mix")
    @classmethod
    def _some_outcome(cls, mix: dict[Outcome, float]) -> dict[Outcome, float]:
        if not any(mix.values()):
            raise ValueError("at least one outcome needs a weight above 0")
        return mix

    def merged(self, changes: dict[str, Any]) -> Self:
        """Return this behaviour with the named fields replaced, or raise pydantic.ValidationError."""
        return self.model_validate({**self.model_dump(mode="json"), **changes})

    def limit_of(self, api_key: str) -> Limit:
        return self.account_limits.get(api_key, self.limit)


class TaskPlan(BaseModel):
    """What one task shall do, counted from the moment the plan is made; what is left out is drawn as for any task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    finish_in_s: float | None = Field(default=None, ge=0, lt=inf)
    status: str | None = Field(default=None, description="the final status, in any spelling")
    reason: str | None = Field(default=None, description="StatusReason once final")
    error_in_s: float | None = Field(default=None, ge=0, lt=inf, description="an ERROR shows from here to the end")
    stuck: bool = False
    fault: FaultRule | None = None

    @model_validator(mode="after")
    def _stuck_never_finishes(self) -> Self:
        if self.stuck and self.finish_in_s is not None:
            raise ValueError("a stuck task has no finish_in_s")
        return self


def complaint(error: ValidationError) -> str:
    """Return what is wrong with some settings, in one line."""
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'body'}: {_said(problem)}" for problem in error.errors())


def _said(problem: ErrorDetails) -> str:
    return "unknown field" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")
