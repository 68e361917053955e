"""Whom an account admits, and where its status calls go."""

from dataclasses import replace
from typing import Any

import pytest

from relay.domain.account import Account, AccountEntry, LearnedLimit
from relay.domain.budget import Limit
from relay.domain.operations import DETAILS, Operation
from tests.support.builders import NOW, an_account


def test_an_account_without_a_list_admits_everybody() -> None:
    assert an_account().admits("anybody")


def test_an_account_with_a_list_admits_those_on_it_alone() -> None:
    account = an_account(clients=frozenset({"alice"}))
    assert [account.admits(client) for client in ("alice", "bob", "")] == [True, False, False]
    assert not an_account(clients=frozenset()).admits("alice")


@pytest.mark.parametrize("operation", Operation)
def test_a_status_call_goes_to_its_operations_path(operation: Operation) -> None:
    assert an_account().status_url(operation) == "https://upstream.example.com" + DETAILS[operation].status_path


@pytest.mark.parametrize("operation", Operation)
def test_an_overridden_path_is_for_lead_updates_alone(operation: Operation) -> None:
    url = an_account(status_path="/other/status").status_url(operation)
    assert (url == "https://upstream.example.com/other/status") == (operation is Operation.LEAD_UPDATE)


def test_an_account_does_not_show_its_key() -> None:
    assert "planted" not in repr(an_account(api_key="planted"))


DEFAULT = an_account(
    name="default", limit=Limit(30, 5.0), share=0.5, daily_limit=9, clients=frozenset({"alice"}), status_path="/own"
)
ENTRY = AccountEntry("second", "its key")


def test_what_an_entry_does_not_say_is_as_in_the_default_account_but_who_may_use_it() -> None:
    account = ENTRY.completed(DEFAULT)
    assert account == replace(DEFAULT, name="second", api_key="its key", clients=None, status_path=None)


def test_what_an_entry_says_holds() -> None:
    entry = AccountEntry("second", "k", "https://b", Limit(1, 1.0), 0.1, 5, frozenset({"bob"}), limit_said_at=7.0)
    said = Account("second", "https://b", "k", Limit(1, 1.0), 0.1, 5, frozenset({"bob"}), limit_said_at=7.0)
    assert entry.completed(DEFAULT) == entry.completed(None) == said


def test_the_default_account_keeps_its_own_path_and_without_a_url_there_is_no_account() -> None:
    added = AccountEntry("default", "k").completed(DEFAULT)
    assert added is not None
    assert added.status_path == "/own"
    assert ENTRY.completed(None) is None


@pytest.mark.parametrize(
    ("said", "said_at", "in_use"),
    [
        (Limit(25, 5.0), 0.0, Limit(20, 5.0)),  # learned since
        (Limit(25, 5.0), NOW + 1, Limit(25, 5.0)),  # said anew after it was learned
        (Limit(72, 5.0), 0.0, Limit(72, 5.0)),  # learned while another was said
        (Limit(10, 5.0), 0.0, Limit(10, 5.0)),
    ],
)
def test_a_learned_limit_holds_until_another_is_said(said: Limit, said_at: float, in_use: Limit) -> None:
    learned = LearnedLimit(Limit(20, 5.0), said=Limit(25, 5.0), at=NOW)
    account = an_account(limit=said, limit_said_at=said_at)
    assert account.limit_in_use(learned) == in_use
    assert account.limit_in_use(None) == said


@pytest.mark.parametrize(
    ("change", "alike"),
    [({}, True), ({"limit": Limit(1, 1.0), "clients": frozenset()}, True), ({"api_key": "other"}, False),
     ({"upstream_url": "https://other"}, False), ({"status_path": "/other"}, False)],
)  # fmt: skip
def test_an_account_asks_as_another_when_urls_and_key_are_the_same(change: dict[str, Any], alike: bool) -> None:  # noqa: FBT001
    assert an_account().asks_as(replace(an_account(), **change)) is alike
