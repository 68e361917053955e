"""What `relay doctor` checks of the settings: each by itself, and that the secrets are there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from relay.cli.doctor.check import Check, ok, warning, wrong
from relay.cli.local import data_dir, has_made_secrets, require_loopback, with_made_secrets
from relay.domain.errors import SettingError
from relay.settings import Settings

_NAME = re.compile(r"RELAY_[A-Z0-9_]+")
_MADE = "(unset) `relay run` makes one and keeps it in RELAY_DATA_DIR"


@dataclass(frozen=True)
class Reading:
    """The settings that could be read, None when even the rest could not; a check for each wrong one.

    `left_out` are the variables that were not read: the wrong ones, and those that a wrong one goes with.
    """

    settings: Settings | None
    complaints: tuple[Check, ...] = ()
    left_out: frozenset[str] = frozenset()


def read_good_settings(environment: Mapping[str, str]) -> Reading:
    """Read every setting that is right, so that one wrong setting does not hide what else is wrong."""
    complaints: tuple[Check, ...] = ()
    left_out: frozenset[str] = frozenset()
    while True:
        rest = {name: value for name, value in environment.items() if name not in left_out}
        try:
            return Reading(Settings.from_environment(rest), complaints, left_out)
        except SettingError as error:
            lines = str(error).splitlines()
        complaints += tuple(map(_complaint, lines))
        named = {name for line in lines for name in _NAME.findall(line)} & rest.keys()
        if not named:
            return Reading(None, complaints, left_out)
        left_out |= named


def _complaint(line: str) -> Check:
    name = match.group() if (match := _NAME.match(line)) else "settings"
    mend = "set it as it says, or unset it for the default; the README's table of settings has the meaning"
    return wrong(name, line.removeprefix(name).removeprefix(":").strip(), mend)


def check_settings(settings: Settings, reading: Reading) -> list[Check]:
    """Return a check for each setting, secrets masked."""
    checks = {name: ok(name, shown) for name, shown in settings.redacted().items()}
    checks["RELAY_DATA_DIR"] = ok("RELAY_DATA_DIR", str(data_dir(settings)))
    checks["RELAY_API_KEYS"] = _api_keys(settings)
    checks["RELAY_SIGNING_SECRET"] = _secret(settings, "signing_secret", "the first signs first", "--new-secret")
    checks["RELAY_ENCRYPTION_KEYS"] = _secret(settings, "encryption_keys", "the first encrypts", "--new-encryption-key")
    checks |= {name: warning(name, "not looked at", "mend the wrong setting first") for name in reading.left_out}
    return list((checks | {check.name: check for check in reading.complaints}).values())


def _api_keys(settings: Settings) -> Check:
    name = "RELAY_API_KEYS"
    if settings.api_keys:
        return ok(name, f"******** ({', '.join(key.label for key in settings.api_keys)})")
    try:
        require_loopback(settings)
    except SettingError as error:
        return wrong(name, str(error).removeprefix(f"{name}: "), "set it to name:key, or RELAY_HOST to 127.0.0.1")
    return ok(name, "(unset) one is made; only this machine can reach the API")


def _secret(settings: Settings, field: str, order: str, option: str) -> Check:
    name = f"RELAY_{field.upper()}"
    held = getattr(settings, field)
    if held:
        return ok(name, f"******** ({len(held)} of them; {order})" if len(held) > 1 else "********")
    mend = f"`relay api` and `relay worker` need it: set it to what `relay doctor {option}` prints"
    if has_made_secrets(settings):
        return _kept(settings, name, mend)
    if settings.redis_url is None:
        return ok(name, _MADE)
    return wrong(name, "it is missing", mend)


def _kept(settings: Settings, name: str, mend: str) -> Check:
    try:
        with_made_secrets(settings.model_copy(update={"host": "127.0.0.1"}))
    except SettingError as error:
        return wrong(
            name,
            f"the one that `relay run` keeps cannot be read: {error}",
            "do as it says; new secrets do not open what was encrypted with old ones",
        )
    if settings.redis_url is None:
        return ok(name, "(unset) kept in RELAY_DATA_DIR by `relay run`")
    return warning(name, "(unset) kept in RELAY_DATA_DIR by `relay run` alone", mend)
