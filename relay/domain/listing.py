"""Listing: which of a client's registrations are asked for, and where a page of them begins."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from relay.domain.draft import AccountName, RequestId
from relay.domain.operations import Operation
from relay.domain.query import parsed
from relay.domain.registration import Registration, RegistrationState, packed
from relay.domain.task import TaskName

MAX_PAGE = 1_000
_PLACE_BYTES, _INSTANT_BYTES = 25, 8


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a registration stands among the client's, oldest first: when it was made (Unix ms), and its packed id."""

    at_ms: int
    member: bytes

    @classmethod
    def of(cls, registration: Registration) -> Self:
        """Return where this registration stands."""
        return cls(made_ms(registration), packed(registration.id))

    def cursor(self) -> str:
        """Return what `parse` reads, and nobody else needs to understand."""
        return urlsafe_b64encode(self.at_ms.to_bytes(_INSTANT_BYTES, "big") + self.member).decode().rstrip("=")

    @classmethod
    def parse(cls, cursor: object) -> Self | None:
        """Return the place that a cursor names. Raises ValueError when it is none."""
        if cursor is None:
            return None
        try:
            decoded = urlsafe_b64decode(str(cursor).encode("ascii") + b"==")
        except (Base64Error, UnicodeEncodeError):
            decoded = b""
        place = cls(int.from_bytes(decoded[:_INSTANT_BYTES], "big"), decoded[_INSTANT_BYTES:])
        if len(decoded) != _PLACE_BYTES or place.cursor() != cursor:
            raise ValueError("it is no cursor: send the `next_cursor` of a page as it came")
        return place


def made_ms(registration: Registration) -> int:
    """Return when the registration was made, in Unix milliseconds."""
    return int(registration.registered_at * 1000)


def _whole(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(MAX_PAGE)):
        return int(value)
    return value


_WRITTEN = WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{33}[AQgw]$"})  # 25 bytes


class Listing(BaseModel):
    """The query of a listing. Unknown parameters are refused, as a misspelt filter would show everything."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    state: Annotated[RegistrationState | None, Field(strict=False)] = None
    account: AccountName | None = None
    operation: Annotated[Operation | None, Field(strict=False)] = None
    request_id: RequestId | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_whole)] = 100
    cursor: Annotated[Place | None, BeforeValidator(Place.parse), _WRITTEN] = None

    @classmethod
    def parse(cls, parameters: Iterable[tuple[str, str]]) -> Self:
        """Return the listing that a query's parameters ask for. Raises InvalidRequestError naming every wrong one."""
        return parsed(cls, parameters)

    def names(self, name: TaskName) -> bool:
        """Whether registrations for this task are asked for."""
        return (
            self.account in {None, name.account}
            and self.operation in {None, name.operation}
            and self.request_id in {None, name.request_id}
        )
