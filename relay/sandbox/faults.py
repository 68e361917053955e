"""The ways a call can go wrong on demand, and which call each strikes."""

from collections.abc import Iterable
from enum import StrEnum
from math import inf
from random import Random
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Call(StrEnum):
    """The three calls of an operation."""

    SUBMIT = "submit"
    STATUS = "status"
    METRICS = "metrics"


class Fault(StrEnum):
    """What goes wrong."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"  # as the gateway says it: {"message":"Forbidden"}
    NOT_FOUND = "404"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"  # 502, 503 and 504 are HTML
    UNAVAILABLE = "503"
    GATEWAY_TIMEOUT = "504"
    THROTTLED = "throttled"  # refused for rate in the configured shape, as if other programs had spent the limit
    SILENT = "silent"  # never answers
    SLOW = "slow"  # answers well, after delay_s
    RESET = "reset"  # the connection is reset
    GARBAGE = "garbage"  # 200, and no JSON
    WRONG_ID = "wrong_id"  # from here on: the status body, bent
    NO_TASK_STATUS = "no_task_status"
    UNLISTED_STATUS = "unlisted_status"
    TRUNCATED = "truncated"
    HUGE = "huge"


BENT_BODIES = frozenset({Fault.WRONG_ID, Fault.NO_TASK_STATUS, Fault.UNLISTED_STATUS, Fault.TRUNCATED, Fault.HUGE})
"""These strike status calls only. The caller has not learnt the status from such a body."""


class FaultRule(BaseModel):
    """One fault and the calls it strikes; the bare name of a fault means all status and metrics calls."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: Fault
    on: frozenset[Call] = frozenset({Call.STATUS, Call.METRICS})
    calls: int | None = Field(default=None, ge=1, description="the next so many calls; null: all")
    probability: float = Field(default=1, ge=0, le=1)
    request_id: str | None = Field(default=None, description="only the status calls for this RequestID")
    delay_s: float | None = Field(default=None, gt=0, lt=inf, description="seconds; for slow, and only for it")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"fault": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _delay_belongs_to_slow(self) -> Self:
        if (self.fault is Fault.SLOW) != (self.delay_s is not None):
            raise ValueError('delay_s goes with "slow", and "slow" needs it')
        return self


class ArmedFault:
    """A rule, and how many calls it will still strike."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.calls_left: float = inf if rule.calls is None else rule.calls

    def strikes(self, call: Call, request_id: str | None, random: Random) -> bool:
        """Say whether this call is struck, and count it if so."""
        struck = self.calls_left > 0 and self._concerns(call, request_id) and random.random() < self.rule.probability
        self.calls_left -= struck
        return struck

    def _concerns(self, call: Call, request_id: str | None) -> bool:
        rule = self.rule
        if rule.request_id is not None and rule.request_id != request_id:
            return False
        return call in rule.on and (call is Call.STATUS or rule.fault not in BENT_BODIES)


def first_to_strike(
    armed: Iterable[ArmedFault], call: Call, request_id: str | None, random: Random
) -> FaultRule | None:
    return next((fault.rule for fault in armed if fault.strikes(call, request_id, random)), None)
