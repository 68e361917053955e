"""`/v1/accounts/{name}`: the operator adds, changes and removes upstream accounts. Keys go in and never come out."""

from dataclasses import replace
from typing import Annotated, Any

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from starlette.responses import Response

from relay.api.auth import caller_of
from relay.api.bodies import json_body
from relay.api.state import AppRequest
from relay.domain.account import Account
from relay.domain.budget import Limit
from relay.domain.caller import Scope
from relay.domain.draft import AccountName, field_errors
from relay.domain.errors import FieldError, InvalidRequestError, NotFoundError
from relay.settings import read_base_url, read_limit

_Url = Annotated[str, Field(max_length=2_048)]
_Calls = Annotated[int, Field(ge=1, le=2**53)]
_URL_SCHEMA = {
    "type": ["string", "null"],
    "pattern": r"^https?://[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~-]{1,40}){0,5}$",
    "examples": ["https://asyncapi.example.com"],
}
_LIMIT_SCHEMA = {"type": ["string", "null"], "pattern": "^[1-9][0-9]{0,3}/[1-9][0-9]{0,2}$", "examples": ["25/5"]}


def _whole(value: object) -> object:
    """Take 10000.0 for 10000, as JSON does not tell them apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class AccountDraft(BaseModel):
    """An account as the operator writes it. What is absent comes from the default account."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    upstream_api_key: Annotated[SecretStr, Field(min_length=1, max_length=512, strict=False)]
    upstream_url: Annotated[_Url | None, BeforeValidator(read_base_url), WithJsonSchema(_URL_SCHEMA)] = None
    limit: Annotated[Limit | None, BeforeValidator(read_limit), WithJsonSchema(_LIMIT_SCHEMA)] = None
    share: Annotated[float | None, Field(gt=0, le=1)] = None
    daily_limit: Annotated[_Calls | None, BeforeValidator(_whole)] = None
    clients: Annotated[list[str] | None, Field(max_length=1_000)] = None


_NAME: TypeAdapter[str] = TypeAdapter(AccountName)


async def write(request: AppRequest) -> Response:
    """PUT /v1/accounts/{name}: 201 when made, 200 when changed."""
    caller_of(request, Scope.ADMIN)
    relay, name = request.state["relay"], _name(request)
    account = _account(name, _draft(await json_body(request)), relay.default_account())
    made = await relay.accounts.put(account)
    relay.forget_account(name)
    return Response(_render(account), 201 if made else 200, media_type="application/json")


async def read(request: AppRequest) -> Response:
    """GET /v1/accounts/{name}."""
    caller_of(request, Scope.ADMIN)
    account = await request.state["relay"].account(_name(request))
    if account is None:
        raise NotFoundError("there is no such account")
    return Response(_render(account), media_type="application/json")


async def remove(request: AppRequest) -> Response:
    """DELETE /v1/accounts/{name}: 204. Its pending tasks wait until it is added again, or expire."""
    caller_of(request, Scope.ADMIN)
    relay, name = request.state["relay"], _name(request)
    if not await relay.accounts.delete(name):
        raise NotFoundError("there is no such account")
    relay.forget_account(name)
    return Response(status_code=204)


def _name(request: AppRequest) -> str:
    try:
        return _NAME.validate_python(request.path_params["name"])
    except ValidationError as error:
        raise NotFoundError("an account's name is 1 to 64 letters, digits, dots, dashes and underscores") from error


def _draft(document: Any) -> AccountDraft:
    try:
        return AccountDraft.model_validate(document)
    except ValidationError as error:
        raise InvalidRequestError(*field_errors(error)) from error


def _account(name: str, draft: AccountDraft, default: Account | None) -> Account:
    url = draft.upstream_url or (default.upstream_url if default else None)
    if url is None:
        raise InvalidRequestError(FieldError("/upstream_url", "there is no default account to take it from"))
    base = default or Account(name=name, upstream_url=url, api_key="", limit=Limit(25, 5.0))
    return replace(
        base,
        name=name,
        upstream_url=url,
        api_key=draft.upstream_api_key.get_secret_value(),
        limit=draft.limit or base.limit,
        share=draft.share or base.share,
        daily_limit=draft.daily_limit or base.daily_limit,
        clients=None if draft.clients is None else frozenset(draft.clients),
        status_path=None,
    )


def _render(account: Account) -> bytes:
    return orjson.dumps(
        {
            "name": account.name,
            "upstream_url": account.upstream_url,
            "limit": str(account.limit),
            "share": account.share,
            "daily_limit": account.daily_limit,
            "clients": None if account.clients is None else sorted(account.clients),
        }
    )
