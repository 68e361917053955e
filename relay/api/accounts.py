"""`/v1/accounts`: the operator adds, changes and removes upstream accounts. Keys go in and never come out."""

import time
from collections.abc import Iterable
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
from relay.domain.account import DEFAULT_ACCOUNT, Account, AccountEntry
from relay.domain.budget import Limit
from relay.domain.caller import MAX_CLIENT_NAME, Scope
from relay.domain.draft import AccountName, field_errors
from relay.domain.errors import FieldError, InSettingsError, InvalidRequestError, NotFoundError
from relay.domain.gate import Pause
from relay.domain.instant import rfc3339
from relay.services.heed import heeded
from relay.services.survey import Standing, stand, survey
from relay.settings import read_base_url, read_header_value, read_limit

_Url = Annotated[str, Field(max_length=2_048)]
_Calls = Annotated[int, Field(ge=1, le=2**53)]
_ClientName = Annotated[str, Field(min_length=1, max_length=MAX_CLIENT_NAME)]
_KEY_SCHEMA = {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "maxLength": 512}
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
    """An account as the operator writes it. What is absent is as in the default account, now and later."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    upstream_api_key: Annotated[
        SecretStr,
        BeforeValidator(read_header_value),
        Field(min_length=1, max_length=512, strict=False),
        WithJsonSchema(_KEY_SCHEMA),
    ]
    upstream_url: Annotated[_Url | None, BeforeValidator(read_base_url), WithJsonSchema(_URL_SCHEMA)] = None
    limit: Annotated[Limit | None, BeforeValidator(read_limit), WithJsonSchema(_LIMIT_SCHEMA)] = None
    share: Annotated[float | None, Field(gt=0, le=1)] = None
    daily_limit: Annotated[_Calls | None, BeforeValidator(_whole)] = None
    clients: Annotated[list[_ClientName] | None, Field(max_length=500)] = None

    def entry(self, name: str, *, now: float) -> AccountEntry:
        """Return what to keep of it."""
        return AccountEntry(
            name=name,
            api_key=self.upstream_api_key.get_secret_value(),
            upstream_url=self.upstream_url,
            limit=self.limit,
            share=self.share,
            daily_limit=self.daily_limit,
            clients=None if self.clients is None else frozenset(self.clients),
            limit_said_at=now if self.limit else 0.0,
        )


_NAME: TypeAdapter[str] = TypeAdapter(AccountName)


async def list_all(request: AppRequest) -> Response:
    """GET /v1/accounts: every account as it stands."""
    caller_of(request, Scope.ADMIN)
    return Response(render_all(await survey(request.state["relay"])), media_type="application/json")


def render_all(standings: Iterable[Standing]) -> bytes:
    """Return accounts as JSON."""
    return orjson.dumps({"accounts": [_document(standing) for standing in standings]})


async def write(request: AppRequest) -> Response:
    """PUT /v1/accounts/{name}: 201 when made, 200 when changed; once it is answered, no worker polls by anything older.

    The default account with the settings' key and nothing else is as in the settings again.
    """
    caller_of(request, Scope.ADMIN)
    relay, name = request.state["relay"], _name(request)
    entry = _draft(await json_body(request)).entry(name, now=time.time())
    relay.forget_accounts()
    default = relay.default_account() if name == DEFAULT_ACCOUNT else await relay.account(DEFAULT_ACCOUNT)
    account = entry.completed(default)
    if account is None:
        raise InvalidRequestError(FieldError("/upstream_url", "there is no default account to take it from"))
    before = await relay.account(name)
    if entry.says_nothing_beyond(default):
        made = not await relay.accounts.delete(name) and before is None
    else:
        made = await relay.accounts.put(entry)
    relay.forget_accounts()
    if before is not None and not account.asks_as(before):
        await relay.pauses.forget(name)
    await heeded(relay, name)
    return await _shown(request, name, 201 if made else 200)


async def read(request: AppRequest) -> Response:
    """GET /v1/accounts/{name}."""
    caller_of(request, Scope.ADMIN)
    return await _shown(request, _name(request), 200)


async def remove(request: AppRequest) -> Response:
    """DELETE /v1/accounts/{name}: 204 once no worker polls by it, 409 when it is in the settings.

    Its pending tasks wait or expire.
    """
    caller_of(request, Scope.ADMIN)
    relay, name = request.state["relay"], _name(request)
    if name == DEFAULT_ACCOUNT and relay.default_account() is not None:
        raise InSettingsError("it is in the settings: to go back to them, PUT it with their key and nothing else")
    if not await relay.accounts.delete(name):
        raise NotFoundError("no such account was added")
    relay.forget_accounts()
    await relay.pauses.forget(name)
    await heeded(relay, name)
    return Response(status_code=204)


async def _shown(request: AppRequest, name: str, status: int) -> Response:
    standing = await stand(request.state["relay"], name)
    if standing is None:
        raise NotFoundError("there is no such account")
    return Response(orjson.dumps(_document(standing)), status, media_type="application/json")


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


def _document(standing: Standing) -> dict[str, Any]:
    return {
        "name": standing.name,
        "origin": standing.origin,
        **_said(standing.account),
        "state": "unusable" if standing.account is None else "open" if standing.pause is None else "paused",
        "pause": _pause(standing.pause),
        "limit_learned": None if (learned := standing.limit_learned) is None else str(learned),
        "limit_in_use": None if (in_use := standing.limit_in_use) is None else str(in_use),
        "pending": standing.pending,
        "delivering": standing.delivering,
        "calls_in_use": standing.calls_in_use,
    }


def _said(account: Account | None) -> dict[str, Any]:
    if account is None:
        return dict.fromkeys(("upstream_url", "limit", "share", "daily_limit", "clients"))
    return {
        "upstream_url": account.upstream_url,
        "limit": str(account.limit),
        "share": account.share,
        "daily_limit": account.daily_limit,
        "clients": None if account.clients is None else sorted(account.clients),
    }


def _pause(pause: Pause | None) -> dict[str, Any] | None:
    if pause is None:
        return None
    return {
        "reason": pause.reason,
        "since": rfc3339(pause.since),
        "next_probe_at": rfc3339(pause.probe_at),
    }
