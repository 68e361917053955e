"""Every setting: its name, default, unit and check. Read once, at the start; a wrong one stops it.

A setting `x_y` is the environment variable `RELAY_X_Y`. An unknown `RELAY_*` variable is refused: it is a typing error.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

from cryptography.fernet import Fernet
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from relay.domain.budget import Limit
from relay.domain.caller import ADMIN_CLIENT, ClientKey, Scope, checked_key
from relay.domain.errors import SettingError
from relay.domain.signature import Secret

PREFIX = "RELAY_"

Network = IPv4Network | IPv6Network
_Port = Annotated[int, Field(ge=1, le=65_535)]
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def read_limit(value: object) -> object:
    return value if value is None or isinstance(value, Limit) else Limit.parse(str(value))


def _networks(value: object) -> object:
    parts = _split(value)
    return tuple(ip_network(part) for part in parts) if isinstance(parts, list) else value


def read_base_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    if _VISIBLE.fullmatch(value) is None:
        raise ValueError("a URL has visible ASCII characters alone")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("write it with its scheme, for example https://asyncapi.example.com")
    if parts.username is not None or "?" in value or "#" in value:
        raise ValueError("a base URL has no user name, no query and no fragment")
    if not _is_port(parts):
        raise ValueError("a port is a number from 1 to 65535")
    return value.rstrip("/")


def _is_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def read_header_value(value: object) -> object:
    if isinstance(value, str) and _HEADER_VALUE.fullmatch(value) is None:
        raise ValueError("it goes into a header: visible ASCII characters alone")
    return value


def _key(value: object) -> object:
    return checked_key(value) if isinstance(value, str) else value


def _client_keys(value: object) -> object:
    parts = _split(value)
    return tuple(ClientKey.parse(part) for part in parts) if isinstance(parts, list) else value


def _signing_secrets(value: object) -> object:
    parts = _split(value)
    return tuple(Secret.parse(part) for part in parts) if isinstance(parts, list) else value


def _fernet_keys(value: object) -> object:
    parts = _split(value)
    for part in parts if isinstance(parts, list) else ():
        try:
            Fernet(part)
        except ValueError as error:
            raise ValueError("each is a Fernet key: 32 bytes in URL-safe base64") from error
    return tuple(SecretStr(part) for part in parts) if isinstance(parts, list) else value


class Settings(BaseModel):
    """What a process is told. Names, defaults and meanings are those of the README's table."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535)
    metrics_port: int = Field(9464, ge=0, le=65_535)
    data_dir: Path | None = None
    redis_url: SecretStr | None = None
    allow_degraded: bool = False
    store_wait_replicas: int = Field(0, ge=0, le=16)
    upstream_url: Annotated[str | None, BeforeValidator(read_base_url)] = None
    upstream_api_key: Annotated[SecretStr | None, BeforeValidator(read_header_value)] = None
    upstream_limit: Annotated[Limit, BeforeValidator(read_limit)] = Limit(25, 5.0)
    upstream_share: float = Field(1.0, gt=0, le=1)
    upstream_daily_limit: int | None = Field(None, ge=1)
    upstream_status_path: str | None = Field(None, pattern=r"^/[\x21-\x7e]*$")
    upstream_timeout_s: float = Field(8.0, gt=0, le=8)
    upstream_error_grace_s: float = Field(0.0, ge=0, le=86_400)
    upstream_metrics_hint: bool = False
    api_keys: Annotated[tuple[ClientKey, ...], BeforeValidator(_client_keys)] = Field((), repr=False)
    client_request_limit: Annotated[Limit, BeforeValidator(read_limit)] = Limit(100_000, 60.0)
    client_pending_limit: int = Field(250_000, ge=1)
    admin_key: Annotated[SecretStr | None, BeforeValidator(_key)] = None
    signing_secret: Annotated[tuple[Secret, ...], BeforeValidator(_signing_secrets)] = Field((), repr=False)
    encryption_keys: Annotated[tuple[SecretStr, ...], BeforeValidator(_fernet_keys)] = ()
    callback_allow: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = ()
    callback_ports: Annotated[frozenset[_Port], BeforeValidator(_split)] = frozenset({443, 8443})
    callback_timeout_s: float = Field(15.0, gt=0, le=15)
    log_level: str = Field("INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.upstream_url is not None and self.upstream_api_key is None:
            raise ValueError("RELAY_UPSTREAM_API_KEY is missing: RELAY_UPSTREAM_URL needs its x-api-key")
        return self

    @model_validator(mode="after")
    def _tells_callers_apart(self) -> Self:
        keys = list(self.api_keys)
        if self.admin_key is not None:
            keys.append(ClientKey(ADMIN_CLIENT, self.admin_key.get_secret_value(), frozenset(Scope)))
        owners: dict[bytes, str] = {}
        for key in keys:
            if (owner := owners.setdefault(key.digest, key.label)) != key.label:
                raise ValueError(f"RELAY_API_KEYS: {owner} and {key.label} have one key; nobody could tell them apart")
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings in these variables. Raises SettingError naming each wrong one and the reason."""
        named = {
            name.removeprefix(PREFIX).lower(): text
            for name, value in environment.items()
            if _is_setting(name) and (text := value.strip())  # a secret from a file ends with a newline
        }
        try:
            return cls.model_validate(named)
        except ValidationError as error:
            raise SettingError("\n".join(_complaint(item) for item in error.errors(include_input=False))) from None

    def redacted(self) -> dict[str, str]:
        """Return every setting by its variable's name, secrets masked."""
        return {PREFIX + name.upper(): _shown(name, getattr(self, name)) for name in type(self).model_fields}


_SECRET_FIELDS = frozenset(
    {"api_keys", "admin_key", "signing_secret", "encryption_keys", "upstream_api_key", "redis_url"}
)


def _is_setting(name: str) -> bool:
    return name.startswith(PREFIX)


def _complaint(item: Any) -> str:
    name = PREFIX + str(item["loc"][0]).upper() if item["loc"] else ""
    if item["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    return f"{name}: {item['msg'].removeprefix('Value error, ')}".removeprefix(": ")


def _shown(name: str, value: object) -> str:
    if value is None or value == ():
        return "(unset)"
    if name in _SECRET_FIELDS:
        return "********"
    if isinstance(value, (tuple, frozenset)):
        return ",".join(sorted(str(part) for part in value))
    return str(value)
