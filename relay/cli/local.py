"""What `relay run` makes for itself, once, and keeps in its data directory.

The secrets there are locked with RELAY_ENCRYPTION_KEYS. Only when that is unset is a key made too, in a file of its
own: whoever wants the directory to be worth nothing to a thief sets it.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import orjson
from cryptography.fernet import Fernet
from pydantic import SecretStr

from relay.domain.caller import ClientKey
from relay.domain.errors import SettingError
from relay.domain.signature import Secret, new_secret
from relay.settings import Settings
from relay.store.vault import Vault

_SECRETS, _KEY = "secrets.json", "encryption.key"
_MADE: dict[str, Callable[[], str]] = {
    "signing_secret": lambda: new_secret(secrets.token_bytes(32)).text,
    "api_key": lambda: secrets.token_urlsafe(24),
}
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def data_dir(settings: Settings) -> Path:
    """Return where the embedded server and the made secrets live."""
    if settings.data_dir is not None:
        return settings.data_dir.expanduser()
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "taskstatus-relay"


def with_made_secrets(settings: Settings) -> Settings:
    """Return the settings with every absent secret filled in from the data directory, where it is made once.

    A key that was made is the last of the encryption keys, so that setting RELAY_ENCRYPTION_KEYS later closes nothing.
    """
    directory = data_dir(settings)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = (*settings.encryption_keys, *_made_key(directory / _KEY, needed=not settings.encryption_keys))
        made = _made(directory / _SECRETS, Vault(tuple(key.get_secret_value() for key in keys)))
    except OSError as error:
        raise SettingError(f"RELAY_DATA_DIR: cannot use {directory}: {error.strerror}") from error
    filled: dict[str, Any] = {"encryption_keys": keys}
    if not settings.signing_secret:
        filled["signing_secret"] = (Secret.parse(made["signing_secret"]),)
    if not settings.api_keys:
        filled["api_keys"] = (ClientKey("local", made["api_key"]),)
        require_loopback(settings)
    return settings.model_copy(update=filled)


def has_made_secrets(settings: Settings) -> bool:
    """Return whether the data directory holds made secrets already."""
    return os.access(data_dir(settings) / _SECRETS, os.F_OK)


def with_made_client_key(settings: Settings) -> tuple[Settings, str | None]:
    """Return the settings with a client key, and that key when it had to be made."""
    if settings.api_keys:
        return settings, None
    require_loopback(settings)
    key = secrets.token_urlsafe(24)
    return settings.model_copy(update={"api_keys": (ClientKey("local", key),)}), key


def require_loopback(settings: Settings) -> None:
    """Raise SettingError unless the API listens on this machine alone: a made key is no protection elsewhere."""
    try:
        inside = ip_address(settings.host).is_loopback
    except ValueError:
        inside = settings.host == "localhost"
    if not inside:
        raise SettingError("RELAY_API_KEYS: it must be set when RELAY_HOST is not a loopback address")


def _made_key(path: Path, *, needed: bool) -> tuple[SecretStr, ...]:
    """Return the encryption key that was made here; when there is none and none is needed, nothing."""
    if needed and not path.exists():
        _write_once(path, Fernet.generate_key())
    if not path.exists():
        return ()
    key = path.read_text().strip()
    try:
        Fernet(key)
    except ValueError:
        raise SettingError(f"RELAY_DATA_DIR: {path} is damaged; restore it") from None
    return (SecretStr(key),)


def _made(path: Path, vault: Vault) -> dict[str, str]:
    """Return the made secrets; whoever comes first makes them, and everybody reads the same ones."""
    if not path.exists():
        _write_once(path, orjson.dumps({name: vault.lock(_owner(name), make()) for name, make in _MADE.items()}))
    try:
        locked = orjson.loads(path.read_bytes())
        opened = {name: vault.unlock(_owner(name), locked[name]) for name in _MADE}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise SettingError(f"RELAY_DATA_DIR: {path} is damaged; restore it, or remove it to make new secrets") from None
    made = {name: secret for name, secret in opened.items() if secret is not None}
    if made.keys() != _MADE.keys():
        raise SettingError(
            f"RELAY_ENCRYPTION_KEYS: none of them opens {path}; add the key that it was made with, "
            f"restore {_KEY} beside it, or remove it to make new secrets"
        )
    return made


def _owner(name: str) -> str:
    return f"made:{name}"


def _write_once(path: Path, content: bytes) -> None:
    """Write a file for this user alone, whole or not at all; one that is there by now stays."""
    with NamedTemporaryFile(dir=path.parent) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)
