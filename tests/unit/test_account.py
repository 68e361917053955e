"""Whom an account admits, and where its status calls go."""

import pytest

from relay.domain.operations import DETAILS, Operation
from tests.support.builders import an_account


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
