"""Waiting: for how long an answer is to be held back."""

import re
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from relay.domain.query import parsed

MAX_WAIT_S = 60.0
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,30})?([eE][-+]?\d{1,3})?", re.ASCII)
_PREFERENCE = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?", re.ASCII | re.IGNORECASE)


def _number(value: object) -> object:
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


class WaitQuery(BaseModel):
    """The query of a call that can wait: `wait` in seconds."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_S), BeforeValidator(_number)] | None = None


class Patience(NamedTuple):
    """For how long to wait at most, and whether a Prefer header said so."""

    within_s: float
    preferred: bool = False


def patience(parameters: Iterable[tuple[str, str]], preferences: Iterable[str]) -> Patience:
    """Return for how long to wait: a query comes before a preference, of which too much is cut down.

    `preferences` are the values of Prefer headers (RFC 7240); one that cannot be read is ignored, as it may be.
    Raises InvalidRequestError.
    """
    asked_s = parsed(WaitQuery, parameters).wait
    if asked_s is not None:
        return Patience(asked_s)
    for preference in ",".join(preferences).split(","):
        if match := _PREFERENCE.fullmatch(preference.partition(";")[0].strip()):
            return Patience(min(float(match[1]), MAX_WAIT_S), preferred=True)
    return Patience(0.0)
