"""`relay redeliver`, on dead letters that a receiver who is gone has made."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.commands import Ended, Running, ended, relaying, running


@dataclass(frozen=True)
class Site:
    """A relay that runs, and a receiver that answers 410 to everybody."""

    relay: Running
    gone: Running
    data_dir: Path

    def run(self, *arguments: object) -> Ended:
        return ended(*arguments, "--url", self.relay.url, data_dir=self.data_dir)

    def dead_letter(self) -> str:
        """Register what ends as a dead letter, and return its id."""
        done = self.run("register", str(uuid4()), "--callback", f"{self.gone.url}/hook", "--wait", "30", "--json")
        assert done.json["state"] == "dead", done.err
        return str(done.json["id"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data_dir = tmp_path_factory.mktemp("data")
    upstream = running("sandbox", "--port", 0, "--durations", "fixed:0.1", "--mix", "success=1")
    receiver = running("listen", "--port", 0, "--answer", 410, data_dir=data_dir)
    with upstream as sandbox, receiver as gone, relaying(sandbox, data_dir) as relay:
        yield Site(relay, gone, data_dir)


def attempts_of(site: Site, id_: str) -> int:
    listed = site.run("redeliver", "--all", "--dry-run", "--json")
    return sum(f'"id":"{id_}"' in line for line in listed.out.splitlines())


def test_a_dry_run_tells_what_would_be_redelivered_and_does_nothing(site: Site) -> None:
    id_ = site.dead_letter()
    done = site.run("redeliver", "--account", "default", "--since", "1h", "--dry-run")
    assert done.code == 0, done.err
    assert f"{id_}  " in done.out
    assert done.out.splitlines()[-1].endswith("would be redelivered")
    assert attempts_of(site, id_) == 1


def test_one_that_is_named_is_due_again(site: Site) -> None:
    id_ = site.dead_letter()
    done = site.run("redeliver", id_, "--json")
    assert done.code == 0, done.err
    assert (done.json["id"], done.json["state"]) == (id_, "delivering")


def test_one_that_cannot_be_redelivered_is_told_with_the_reason_and_code_1(site: Site) -> None:
    pending = site.run("register", str(uuid4()), "--callback", "http://127.0.0.1:1/", "--account", "default", "--json")
    done = site.run("redeliver", pending.json["id"])
    assert done.code == 1
    assert "409 illegal_move" in done.err
    assert "0 redelivered, 1 refused" in done.out


def test_nothing_is_chosen_by_an_account_that_has_no_dead_letters_or_a_time_to_come(site: Site) -> None:
    site.dead_letter()
    for options in (("--account", "nobody"), ("--since", "2999-01-01T00:00:00Z")):
        done = site.run("redeliver", *options)
        assert (done.code, done.out) == (0, "0 redelivered\n"), done.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "name registrations, or choose dead letters"),
        (("reg_1", "--all"), "name registrations, or choose dead letters"),
        (("--since", "yesterday"), "write it as 30m, 2h, 1d"),
        (("--since", "2026-11-23T10:00:00"), "say which time zone"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(site: Site, arguments: tuple[str, ...], complaint: str) -> None:
    done = site.run("redeliver", *arguments)
    assert done.code == 2
    assert complaint in done.err
