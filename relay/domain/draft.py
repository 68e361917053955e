"""Draft: a registration as a client asks for it, checked field by field."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator

from relay.domain.errors import FieldError, InvalidRequestError
from relay.domain.operations import Operation

DEFAULT_DEADLINE_S = 43_200  # the vendor's retries add up to 9 h 9 min 30 s
MAX_DEADLINE_S = 30 * 86_400
MAX_METADATA_BYTES = 4_096

# An instant near the ends of the calendar may have no RFC 3339 form in UTC.
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_BEGINS_WITH_A_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")  # pydantic would read a bare number, too

_DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])"
_IN_RFC_3339 = WithJsonSchema(
    {"type": ["string", "null"], "format": "date-time", "pattern": rf"^(19[89][0-9]|[2-8][0-9]{{3}})-{_DAY}T{_TIME}$"}
)

_Instant = Annotated[AwareDatetime, Field(strict=False, ge=_EARLIEST, lt=_LATEST)]
RequestId = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")]
AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Draft(BaseModel):
    """One client's wish, before it is a registration. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    request_id: RequestId
    callback_url: Annotated[str, Field(min_length=1, max_length=2_048)]
    operation: Annotated[Operation, Field(strict=False)] = Operation.LEAD_UPDATE
    account: AccountName = "default"
    submitted_at: Annotated[_Instant | None, _IN_RFC_3339] = None
    deadline_s: Annotated[float, Field(gt=0, le=MAX_DEADLINE_S, allow_inf_nan=False)] = DEFAULT_DEADLINE_S
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("submitted_at", mode="before")
    @classmethod
    def _written_as_text(cls, value: object) -> object:
        if value is not None and not (isinstance(value, str) and _BEGINS_WITH_A_DATE.match(value)):
            raise ValueError("write it as RFC 3339, for example 2026-11-23T10:00:00Z")
        return value

    @field_validator("metadata")
    @classmethod
    def _small(cls, value: dict[str, Any]) -> dict[str, Any]:
        if len(_dumped(value)) > MAX_METADATA_BYTES:
            raise ValueError(f"at most {MAX_METADATA_BYTES} bytes as JSON")
        return value

    @classmethod
    def parse(cls, document: object) -> Self:
        """Return the draft in a decoded JSON document. Raises InvalidRequestError naming every wrong field."""
        if not isinstance(document, dict):
            raise InvalidRequestError(FieldError("", "a registration is a JSON object"))
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise InvalidRequestError(*field_errors(error)) from error

    @property
    def metadata_json(self) -> str:
        """The metadata as JSON text."""
        return _dumped(self.metadata).decode()

    @property
    def submitted_at_s(self) -> float | None:
        """When the task was submitted to the upstream, in Unix seconds."""
        return None if self.submitted_at is None else self.submitted_at.timestamp()


def _dumped(value: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ValueError("nested too deep") from error


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return one FieldError for each thing that pydantic found wrong; never the value itself."""
    return [
        FieldError("".join(f"/{_escaped(part)}" for part in item["loc"]), item["msg"].removeprefix("Value error, "))
        for item in error.errors(include_url=False, include_input=False)
    ]


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
