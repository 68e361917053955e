"""`relay account`, against a relay that runs: added from standard input, listed, changed and removed."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.commands import Ended, Running, ended, running

ADMIN_KEY, UPSTREAM_KEY = "an-admin-key", "a-sentinel-upstream-key"


@dataclass(frozen=True)
class Site:
    """A relay that runs, and the admin's key of it."""

    relay: Running

    def account(self, *arguments: object, stdin: str = "", **settings: object) -> Ended:
        settings = {"admin_key": ADMIN_KEY} | settings
        return ended("account", *arguments, "--url", self.relay.url, stdin=stdin, **settings)

    def listed(self) -> dict[str, dict[str, object]]:
        return {one["name"]: one for one in self.account("list", "--json").json["accounts"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running("run", data_dir=tmp_path_factory.mktemp("data"), port=0, admin_key=ADMIN_KEY) as relay:
        yield Site(relay)


def test_an_account_is_added_changed_listed_and_removed(site: Site) -> None:
    added = site.account("add", "second", "--limit", "10/5", "--client", "shop", "--client", "bar", stdin=UPSTREAM_KEY)
    changed = site.account("add", "second", "--share", 0.5, "--json", stdin=f"{UPSTREAM_KEY}\n")
    listed, table = site.listed()["second"], site.account("list")
    removed = site.account("remove", "second")

    assert [done.code for done in (added, changed, table, removed)] == [0, 0, 0, 0]
    assert (added.out, removed.out) == ("second  added, at most 10/5\n", "second  removed\n")
    assert changed.json == listed
    assert (listed["clients"], listed["limit_in_use"], listed["origin"]) == (None, "12/5", "added")
    assert [line.split()[:3] for line in table.out.splitlines()] == [
        ["name", "state", "limit_in_use"], ["default", "open", "25/5"], ["second", "open", "12/5"],
    ]  # fmt: skip
    assert "second" not in site.listed()
    assert UPSTREAM_KEY not in added.out + added.err + changed.out + table.out


def test_what_is_wrong_is_named_and_ends_with_1(site: Site) -> None:
    done = site.account("add", "third", "--limit", "none", "--share", 2, stdin=UPSTREAM_KEY)
    assert done.code == 1
    assert {line.split(":")[0].strip() for line in done.err.splitlines()[1:]} == {"/limit", "/share"}
    assert UPSTREAM_KEY not in done.err


def test_an_absent_account_cannot_be_removed(site: Site) -> None:
    done = site.account("remove", "absent", "--json")
    assert (done.code, done.json["code"]) == (1, "not_found")


@pytest.mark.parametrize("stdin", ["", "\n", "   \n"])
def test_without_an_upstream_key_nothing_is_added(site: Site, stdin: str) -> None:
    done = site.account("add", "fourth", stdin=stdin)
    assert done.code == 2
    assert "fourth" not in site.listed()


def test_it_needs_the_admins_key(site: Site) -> None:
    wrong = site.account("list", admin_key="wrong")
    unset = site.account("list", admin_key="")
    assert (wrong.code, unset.code) == (1, 2)
    assert "RELAY_ADMIN_KEY" in wrong.err
    assert "RELAY_ADMIN_KEY" in unset.err
