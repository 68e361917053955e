"""Secrets at rest: opened by any of the keys, for their owner alone."""

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.store.vault import Vault

NEW, OLD = Fernet.generate_key().decode(), Fernet.generate_key().decode()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(owner=TEXTS, secret=TEXTS)
def test_a_secret_comes_out_as_it_went_in(owner: str, secret: str) -> None:
    vault = Vault((NEW,))
    locked = vault.lock(owner, secret)
    assert vault.unlock(owner, locked) == secret


def test_what_is_locked_shows_nothing_and_never_looks_the_same() -> None:
    vault = Vault((NEW,))
    locked = vault.lock("account:default", "planted")
    assert "planted" not in locked
    assert vault.lock("account:default", "planted") != locked


def test_a_secret_is_for_its_owner_alone() -> None:
    vault = Vault((NEW,))
    assert vault.unlock("account:other", vault.lock("account:default", "planted")) is None


def test_an_older_key_still_opens_and_a_removed_one_does_not() -> None:
    locked = Vault((OLD,)).lock("account:default", "planted")
    assert Vault((NEW, OLD)).unlock("account:default", locked) == "planted"
    assert Vault((NEW,)).unlock("account:default", locked) is None


def test_the_newest_key_locks() -> None:
    locked = Vault((NEW, OLD)).lock("account:default", "planted")
    assert Vault((NEW,)).unlock("account:default", locked) == "planted"


@pytest.mark.parametrize("locked", ["", "garbage", "gAAAAA==", "\n"])
def test_garbage_opens_to_nothing(locked: str) -> None:
    assert Vault((NEW,)).unlock("account:default", locked) is None


def test_a_secret_that_was_tampered_with_opens_to_nothing() -> None:
    vault = Vault((NEW,))
    locked = vault.lock("account:default", "planted")
    middle = len(locked) // 2
    flipped = "A" if locked[middle] != "A" else "B"
    assert vault.unlock("account:default", locked[:middle] + flipped + locked[middle + 1 :]) is None
