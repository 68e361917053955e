"""The shapes of what the operator is answered: accounts, clients, health."""

from typing import Annotated

from pydantic import Field

from relay.api.reference.shapes import Instant, Shape
from relay.services.survey import Origin


class ReadinessShape(Shape):
    """`status` is ready, `degraded: <why>` or unavailable."""

    status: str
    detail: str


class LivenessShape(Shape):
    """The process answers."""

    status: Annotated[str, Field(pattern="^ok$")]


class KeyShape(Shape):
    """One key of a client, by its fingerprint."""

    fingerprint: str
    scopes: list[str]
    last_used_at: Instant | None


class ClientShape(Shape):
    """A client that the settings name."""

    name: str
    keys: list[KeyShape]
    pending: Annotated[int, Field(ge=0, description="its registrations that are pending or delivering")]


class ClientsShape(Shape):
    """Every client, and the quotas of each."""

    request_limit: Annotated[str, Field(description="calls/seconds")]
    pending_limit: Annotated[int, Field(ge=1)]
    clients: list[ClientShape]


class PauseShape(Shape):
    """Why every call of an account is refused, since when, and when it is probed next."""

    reason: str
    since: Instant
    next_probe_at: Instant


class AccountShape(Shape):
    """An account: what was said of it, or comes from the default account, and how it stands."""

    name: str
    origin: Origin
    upstream_url: str | None
    limit: Annotated[str | None, Field(description="calls/seconds")]
    share: float | None
    daily_limit: int | None
    clients: Annotated[list[str] | None, Field(description="who may use it; null: everybody")]
    state: Annotated[str, Field(pattern="^(open|paused|unusable)$", description="unusable: no key, or no URL")]
    pause: PauseShape | None
    limit_learned: Annotated[str | None, Field(description="what a refusal for rate has named since")]
    limit_in_use: Annotated[str | None, Field(description="what the relay keeps to, its share taken")]
    pending: Annotated[int, Field(ge=0, description="tasks that wait for the upstream")]
    delivering: Annotated[int, Field(ge=0, description="callbacks under way")]
    calls_in_use: Annotated[int, Field(ge=0, description="slots of the budget that are held just now")]


class AccountsShape(Shape):
    """Every account, by name."""

    accounts: list[AccountShape]
