"""What `relay run` makes for itself, once, and keeps in its data directory."""

import os
import secrets
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

_FILE = "secrets.json"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def data_dir(settings: Settings) -> Path:
    """Return where the embedded server and the made secrets live."""
    if settings.data_dir is not None:
        return settings.data_dir
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "taskstatus-relay"


def with_made_secrets(settings: Settings) -> Settings:
    """Return the settings with every absent secret filled in from the data directory, where it is made once."""
    kept = _kept(data_dir(settings))
    filled: dict[str, Any] = {}
    if not settings.signing_secret:
        filled["signing_secret"] = (Secret.parse(kept["signing_secret"]),)
    if not settings.encryption_keys:
        filled["encryption_keys"] = (SecretStr(kept["encryption_key"]),)
    if not settings.api_keys:
        filled["api_keys"] = (ClientKey("local", kept["api_key"]),)
        require_loopback(settings)
    return settings.model_copy(update=filled)


def has_made_secrets(settings: Settings) -> bool:
    """Return whether the data directory holds made secrets already."""
    return os.access(data_dir(settings) / _FILE, os.F_OK)


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


def _kept(directory: Path) -> dict[str, str]:
    """Return the made secrets; whoever comes first makes them, and everybody reads the same ones."""
    path = directory / _FILE
    try:
        if not path.exists():
            _make(directory, path)
        kept: dict[str, str] = orjson.loads(path.read_bytes())
    except OSError as error:
        raise SettingError(f"RELAY_DATA_DIR: cannot use {directory}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise SettingError(
            f"RELAY_DATA_DIR: {path} is damaged; restore it, or remove it to make new secrets"
        ) from error
    return kept


def _make(directory: Path, path: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = {
        "signing_secret": new_secret(secrets.token_bytes(32)).text,
        "encryption_key": Fernet.generate_key().decode(),
        "api_key": secrets.token_urlsafe(24),
    }
    with NamedTemporaryFile(dir=directory) as file:
        file.write(orjson.dumps(made, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)
