"""What `relay run` makes for itself: made once, for its user alone, and locked."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from relay.cli.local import with_made_secrets
from relay.domain.errors import SettingError
from relay.settings import Settings

GIVEN, OTHER = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def made(folder: Path, **settings: Any) -> Settings:
    return with_made_secrets(Settings.model_validate({"data_dir": folder} | settings))


def keys_of(settings: Settings) -> list[str]:
    return [key.get_secret_value() for key in settings.encryption_keys]


def test_they_are_made_once(tmp_path: Path) -> None:
    first, again = made(tmp_path), made(tmp_path)
    assert (first.signing_secret, first.api_keys) == (again.signing_secret, again.api_keys)
    assert keys_of(first) == keys_of(again)
    assert made(tmp_path / "another").signing_secret != first.signing_secret


def test_they_are_for_their_user_alone(tmp_path: Path) -> None:
    made(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()} == {0o600}


def test_with_a_key_of_the_operators_the_folder_opens_nothing(tmp_path: Path) -> None:
    settings = made(tmp_path, encryption_keys=GIVEN)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]
    for secret in (settings.signing_secret[0].text, settings.api_keys[0].key, GIVEN):
        assert secret.encode() not in kept
    with pytest.raises(SettingError, match="RELAY_ENCRYPTION_KEYS: none of them opens"):
        made(tmp_path, encryption_keys=OTHER)


def test_a_key_that_is_set_later_locks_first_and_the_made_one_still_opens(tmp_path: Path) -> None:
    before = made(tmp_path)
    after = made(tmp_path, encryption_keys=GIVEN)
    assert keys_of(after) == [GIVEN, *keys_of(before)]
    assert after.signing_secret == before.signing_secret


def test_a_rotation_needs_the_old_key_second(tmp_path: Path) -> None:
    before = made(tmp_path, encryption_keys=GIVEN)
    assert made(tmp_path, encryption_keys=f"{OTHER},{GIVEN}").signing_secret == before.signing_secret


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"signing_secret": 1, "api_key": 2}'])
def test_a_damaged_file_is_said_to_be_one(tmp_path: Path, content: str) -> None:
    made(tmp_path)
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(SettingError, match=r"secrets\.json is damaged"):
        made(tmp_path)


def test_a_damaged_key_is_said_to_be_one(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "encryption.key").write_text("rubbish")
    with pytest.raises(SettingError, match=r"encryption\.key is damaged"):
        made(tmp_path)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="RELAY_DATA_DIR: cannot use"):
        made(tmp_path / "file")
