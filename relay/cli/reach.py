"""Reach: where the relay is that a command calls, and as whom. The same three options on every such command."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import wraps
from typing import Any

import click
import httpx

from relay.cli.local import with_made_secrets
from relay.cli.process import WrongSettingError, read_settings
from relay.domain.caller import HASHED
from relay.domain.errors import SettingError
from relay.settings import Settings, read_base_url


@dataclass(frozen=True)
class Reach:
    """The relay's base URL, the key to call it with, and whether a machine reads what is printed."""

    url: str
    key: str = field(repr=False)
    as_json: bool


def _url(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    try:
        read_base_url(text)
        return None if text is None else str(httpx.URL(text.rstrip("/")))
    except (ValueError, httpx.InvalidURL) as error:
        raise click.BadParameter(str(error)) from error


class KeyOf(StrEnum):
    """Whose key a command calls with unless told: a client's, the admin's, or the admin's if it is set."""

    CLIENT = "the first of RELAY_API_KEYS, else the one `relay run` keeps in its data"
    ADMIN = "RELAY_ADMIN_KEY"
    EITHER = "RELAY_ADMIN_KEY, else as `relay register` has it"


def reaching(printed: str, *, key_of: KeyOf = KeyOf.CLIENT) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command --url, --key and --json, and a Reach made of them; `printed` is what --json prints."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--url",
            callback=_url,
            help="The relay's base URL; default: http://127.0.0.1:8080, or RELAY_HOST and RELAY_PORT.",
        )
        @click.option("--key", help=f"The key to call it with; default: {key_of}.")
        @click.option("--json", "as_json", is_flag=True, help=f"Print {printed}.")
        @wraps(command)
        def reached(*arguments: Any, url: str | None, key: str | None, as_json: bool, **options: Any) -> None:
            settings = read_settings()
            command(
                *arguments, reach=Reach(url or _url_of(settings), key or _key(settings, key_of), as_json), **options
            )

        return reached

    return decorate


def _key(settings: Settings, key_of: KeyOf) -> str:
    if settings.admin_key is not None and key_of is not KeyOf.CLIENT:
        return _unhashed(settings.admin_key.get_secret_value(), "RELAY_ADMIN_KEY")
    if key_of is KeyOf.ADMIN:
        raise click.UsageError("RELAY_ADMIN_KEY is unset: give the admin key with it, or with --key")
    try:
        known = settings if settings.api_keys else with_made_secrets(settings)
    except SettingError as error:
        raise WrongSettingError(str(error)) from error
    return _unhashed(known.api_keys[0].key, "RELAY_API_KEYS")


def _unhashed(key: str, name: str) -> str:
    if key.startswith(HASHED):
        raise click.UsageError(f"{name} holds the hash of the key alone: give the key itself with --key")
    return key


def _url_of(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host  # noqa: S104 - it is only compared
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port or 8080}"
