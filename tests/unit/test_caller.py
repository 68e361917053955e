"""Callers: what a key is written like, and what it allows."""

import pytest

from relay.domain.caller import UNLESS_SAID, Caller, ClientKey, Scope

ALL_BUT_ADMIN = [Scope.REGISTER, Scope.READ]


@pytest.mark.parametrize(
    ("text", "client", "key", "scopes"),
    [
        ("shop:secret", "shop", "secret", UNLESS_SAID),
        ("shop:se:cr[e]t", "shop", "se:cr[e]t", UNLESS_SAID),
        ("shop[read]:secret", "shop", "secret", {Scope.READ}),
        ("shop [ read + register ]: secret", "shop", " secret", {Scope.READ, Scope.REGISTER}),
        ("the back office[admin]:secret", "the back office", "secret", {Scope.ADMIN}),
    ],
)
def test_a_key_names_its_client_and_may_name_its_scopes(text: str, client: str, key: str, scopes: set[Scope]) -> None:
    assert ClientKey.parse(text) == ClientKey(client, key, frozenset(scopes))


@pytest.mark.parametrize(
    "text", ["", "secret", ":secret", "shop:", "[read]:secret", "shop[read:secret", "shop]:secret", "shop[]:secret",
             "shop[write]:secret", "shop[read,register]:secret", "shop:sha256=12", f"{'x' * 65}:secret"]
)  # fmt: skip
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        ClientKey.parse(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("text", "label"), [("a:b", "a"), ("a[read]:b", "a[read]"), ("a[register+read]:b", "a")])
def test_a_key_has_a_label_without_the_key(text: str, label: str) -> None:
    assert ClientKey.parse(text).label == label


@pytest.mark.parametrize("scope", Scope)
def test_a_key_allows_its_scopes_and_admin_allows_all(scope: Scope) -> None:
    assert Caller("shop", frozenset({scope})).may(scope)
    assert Caller("shop", frozenset({Scope.ADMIN})).may(scope)
    assert not Caller("shop", frozenset(Scope) - {scope, Scope.ADMIN}).may(scope)


def test_a_client_sees_its_own_and_an_admin_sees_everybodys() -> None:
    assert Caller("shop", UNLESS_SAID).sees("shop")
    assert not Caller("shop", UNLESS_SAID).sees("Shop")
    assert Caller("shop", frozenset({Scope.ADMIN})).sees("another")
