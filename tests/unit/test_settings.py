"""Each variable of the contract's table is read; a wrong one is named with the reason and never shown."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

import pytest

from relay.domain.budget import Limit
from relay.domain.caller import ClientKey
from relay.domain.errors import SettingError
from relay.domain.signature import Secret
from relay.settings import Settings

SENTINEL = "PLANTED"
SIGNING_SECRET = "whsec_" + b64encode(b"s" * 32).decode()
OLD_SECRET = "whsec_" + b64encode(b"o" * 32).decode()
FERNET_KEY, OLD_FERNET_KEY = (b64encode(letter * 32).decode() for letter in (b"f", b"g"))
HASHED = "sha256=" + sha256(b"key").hexdigest()
UPSTREAM = {"RELAY_UPSTREAM_URL": "https://upstream.example.com", "RELAY_UPSTREAM_API_KEY": "an upstream key"}


def settings(environment: Mapping[str, str]) -> Settings:
    return Settings.from_environment(environment)


def complaint(environment: Mapping[str, str]) -> str:
    """Return what is said of this environment, which must be wrong."""
    with pytest.raises(SettingError) as caught:
        settings(environment)
    return str(caught.value)


def test_nothing_need_be_set() -> None:
    defaults = settings({})
    assert (defaults.host, defaults.port, defaults.metrics_port) == ("127.0.0.1", 8080, 9464)
    assert (defaults.upstream_limit, defaults.upstream_share) == (Limit(25, 5.0), 1.0)
    assert defaults.callback_ports == {443, 8443}
    unset = (defaults.data_dir, defaults.redis_url, defaults.upstream_url, defaults.upstream_daily_limit)
    assert unset == (None, None, None, None)
    assert (defaults.api_keys, defaults.signing_secret, defaults.encryption_keys, defaults.callback_allow) == ((),) * 4


def test_variables_of_others_are_none_of_our_business() -> None:
    assert settings({"PATH": "/bin", "RELAYED": "1", "MY_RELAY_PORT": "x"}) == settings({})


def test_an_empty_variable_is_an_unset_one() -> None:
    assert settings({"RELAY_PORT": "", "RELAY_UPSTREAM_URL": "", "RELAY_API_KEYS": "", "RELAY_HOST": " "}) == settings(
        {}
    )


def test_the_newline_at_the_end_of_a_secrets_file_is_none_of_the_secret() -> None:
    read = settings({name: f"{value}\n" for name, value in (UPSTREAM | {"RELAY_ADMIN_KEY": "admin"}).items()})
    assert read == settings(UPSTREAM | {"RELAY_ADMIN_KEY": "admin"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("host", "0.0.0.0", "0.0.0.0"),  # noqa: S104 - a value to read, nothing listens
        ("port", "80", 80),
        ("metrics_port", "0", 0),
        ("data_dir", "/var/lib/relay", Path("/var/lib/relay")),
        ("upstream_limit", "10/1", Limit(10, 1.0)),
        ("upstream_share", "0.5", 0.5),
        ("upstream_daily_limit", "10000", 10_000),
        ("upstream_status_path", "/lead/status", "/lead/status"),
        ("api_keys", "alice:a,bob:b:with:colons", (ClientKey("alice", "a"), ClientKey("bob", "b:with:colons"))),
        ("api_keys", f" alice:{HASHED} , ", (ClientKey("alice", HASHED),)),
        ("client_request_limit", "10/1", Limit(10, 1.0)),
        ("client_pending_limit", "10", 10),
        ("signing_secret", f"{SIGNING_SECRET},{OLD_SECRET}", (Secret(b"s" * 32), Secret(b"o" * 32))),
        ("callback_allow", "127.0.0.0/8, ::1/128", (ip_network("127.0.0.0/8"), ip_network("::1/128"))),
        ("callback_ports", "443, 9000", {443, 9000}),
        ("log_level", "DEBUG", "DEBUG"),
        ("allow_degraded", "true", True),
    ],
)
def test_a_variable_is_read(name: str, text: str, value: object) -> None:
    assert getattr(settings({f"RELAY_{name.upper()}": text}), name) == value


@pytest.mark.parametrize("name", ["redis_url", "admin_key"])
def test_a_secret_is_read_and_kept_behind_a_mask(name: str) -> None:
    secret = getattr(settings({f"RELAY_{name.upper()}": "redis://localhost"}), name)
    assert (secret.get_secret_value(), str(secret)) == ("redis://localhost", "*" * 10)


def test_encryption_keys_are_read_newest_first() -> None:
    keys = settings({"RELAY_ENCRYPTION_KEYS": f"{FERNET_KEY}, {OLD_FERNET_KEY}"}).encryption_keys
    assert [key.get_secret_value() for key in keys] == [FERNET_KEY, OLD_FERNET_KEY]


@pytest.mark.parametrize("url", ["https://upstream.example.com", "https://upstream.example.com/", "http://[::1]:80/a/"])
def test_the_upstream_is_a_base_url_without_its_last_slash(url: str) -> None:
    read = settings(UPSTREAM | {"RELAY_UPSTREAM_URL": url})
    assert read.upstream_url == url.rstrip("/")
    assert read.upstream_api_key is not None
    assert read.upstream_api_key.get_secret_value() == "an upstream key"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("PORT", "http", "valid integer"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("METRICS_PORT", "-1", "greater than or equal to 0"),
        ("UPSTREAM_URL", "upstream.example.com", "with its scheme"),
        ("UPSTREAM_URL", "ftp://upstream.example.com", "with its scheme"),
        ("UPSTREAM_URL", "https://", "with its scheme"),
        ("UPSTREAM_URL", f"https://user:{SENTINEL}@upstream.example.com", "no user name"),
        ("UPSTREAM_URL", "https://upstream.example.com?a=b", "no query"),
        ("UPSTREAM_URL", "https://upstream.example.com#a", "no fragment"),
        ("UPSTREAM_URL", "https://upstream.example.com/?", "no query"),
        ("UPSTREAM_URL", "https://upstream.example.com:65536", "a port is a number"),
        ("UPSTREAM_URL", "https://upstream.example.com:https", "a port is a number"),
        ("UPSTREAM_URL", "https://upstream example.com", "visible ASCII"),
        ("UPSTREAM_URL", f"https://user:{SENTINEL}@upstream\u2100.example.com", "visible ASCII"),
        ("UPSTREAM_API_KEY", f"{SENTINEL}\nx-other: y", "goes into a header"),
        ("UPSTREAM_API_KEY", f"{SENTINEL}é", "goes into a header"),
        ("UPSTREAM_LIMIT", "25", "calls/seconds"),
        ("UPSTREAM_LIMIT", "0/5", "calls/seconds"),
        ("UPSTREAM_SHARE", "0", "greater than 0"),
        ("UPSTREAM_SHARE", "1.1", "less than or equal to 1"),
        ("UPSTREAM_SHARE", "nan", "less than or equal to 1"),
        ("UPSTREAM_DAILY_LIMIT", "0", "greater than or equal to 1"),
        ("UPSTREAM_STATUS_PATH", "lead/status", "match pattern"),
        ("API_KEYS", SENTINEL, "name:key"),
        ("API_KEYS", f"alice:{SENTINEL},bob", "name:key"),
        ("API_KEYS", f":{SENTINEL}", "name:key"),
        ("API_KEYS", f"alice:sha256={SENTINEL}", "64 hex digits"),
        ("ADMIN_KEY", f"sha256={SENTINEL}", "64 hex digits"),
        ("SIGNING_SECRET", f"whsec_{SENTINEL}!", "standard base64"),
        ("SIGNING_SECRET", f"{SIGNING_SECRET},whsec_{SENTINEL}", "24 to 64 bytes"),
        ("ENCRYPTION_KEYS", SENTINEL, "Fernet key"),
        ("ENCRYPTION_KEYS", f"{FERNET_KEY},{SENTINEL}é", "Fernet key"),
        ("CALLBACK_ALLOW", "localhost", "does not appear to be an IPv4 or IPv6 network"),
        ("CALLBACK_ALLOW", "10.0.0.1/8", "has host bits set"),
        ("CALLBACK_PORTS", "https", "valid integer"),
        ("CALLBACK_PORTS", "443,0", "greater than or equal to 1"),
        ("CALLBACK_PORTS", "65536", "less than or equal to 65535"),
        ("LOG_LEVEL", "LOUD", "match pattern"),
        ("ALLOW_DEGRADED", "perhaps", "valid boolean"),
    ],
)
def test_a_wrong_variable_is_named_with_the_reason_and_never_shown(name: str, text: str, reason: str) -> None:
    said = complaint({"RELAY_UPSTREAM_API_KEY": "k", f"RELAY_{name}": text})
    assert said.startswith(f"RELAY_{name}: ")
    assert reason in said
    assert SENTINEL not in said
    assert "\n" not in said


def test_every_wrong_variable_is_named_at_once() -> None:
    said = complaint({"RELAY_PORT": "x", "RELAY_UPSTREAM_LIMIT": "x", "RELAY_TYPO": "x"})
    assert {line.partition(":")[0] for line in said.splitlines()} == {
        "RELAY_PORT",
        "RELAY_UPSTREAM_LIMIT",
        "RELAY_TYPO",
    }


@pytest.mark.parametrize("name", ["RELAY_TYPO", "RELAY_", "RELAY_UPSTREAM_KEY"])
def test_an_unknown_variable_of_ours_is_a_typing_error(name: str) -> None:
    assert complaint({name: SENTINEL}) == f"{name}: there is no such setting"


@pytest.mark.parametrize(
    "keys",
    [
        {"RELAY_API_KEYS": f"alice:{SENTINEL},bob:{SENTINEL}"},
        {"RELAY_API_KEYS": f"alice:key,bob:{HASHED}"},
        {"RELAY_API_KEYS": f"alice:{SENTINEL},alice[read]:{SENTINEL}"},
        {"RELAY_API_KEYS": f"alice:{SENTINEL}", "RELAY_ADMIN_KEY": SENTINEL},
    ],
)
def test_a_key_that_two_callers_share_is_refused(keys: dict[str, str]) -> None:
    said = complaint(keys)
    assert said.startswith("RELAY_API_KEYS: alice and ")
    assert SENTINEL not in said


def test_a_key_may_be_given_twice() -> None:
    assert len(settings({"RELAY_API_KEYS": f"alice:key,alice:{HASHED}"}).api_keys) == 2


def test_an_upstream_needs_its_key() -> None:
    said = complaint({"RELAY_UPSTREAM_URL": "https://upstream.example.com"})
    assert said.startswith("RELAY_UPSTREAM_API_KEY is missing")


SECRETS = {
    "RELAY_REDIS_URL": f"redis://:{SENTINEL}@localhost",
    "RELAY_UPSTREAM_API_KEY": SENTINEL,
    "RELAY_API_KEYS": f"alice:{SENTINEL},bob:{HASHED}",
    "RELAY_ADMIN_KEY": f"admin-{SENTINEL}",
    "RELAY_SIGNING_SECRET": SIGNING_SECRET,
    "RELAY_ENCRYPTION_KEYS": FERNET_KEY,
}


@pytest.mark.parametrize("planted", [SENTINEL, HASHED, SIGNING_SECRET.removeprefix("whsec_"), "s" * 32, FERNET_KEY])
def test_no_secret_is_shown(planted: str) -> None:
    read = settings(SECRETS)
    for shown in (str(read.redacted()), repr(read), str(read)):
        assert planted not in shown


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_set_is_told_from_one_that_is_not(name: str) -> None:
    assert settings({name: SECRETS[name]}).redacted()[name] == "********"
    assert settings({}).redacted()[name] == "(unset)"


def test_what_is_no_secret_is_shown_by_its_variables_name() -> None:
    shown = settings(UPSTREAM | {"RELAY_CALLBACK_PORTS": "9000,443", "RELAY_UPSTREAM_LIMIT": "10/1"}).redacted()
    assert set(shown) == {f"RELAY_{name.upper()}" for name in Settings.model_fields}
    assert (shown["RELAY_UPSTREAM_URL"], shown["RELAY_UPSTREAM_LIMIT"]) == ("https://upstream.example.com", "10/1")
    assert (shown["RELAY_CALLBACK_PORTS"], shown["RELAY_DATA_DIR"]) == ("443,9000", "(unset)")
