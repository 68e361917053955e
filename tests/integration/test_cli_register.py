"""`relay register` and `relay listen`, with a `relay run` between them: as the README's reader has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest

from relay.cli.local import with_made_secrets
from relay.settings import Settings
from tests.support.commands import Ended, Running, ended, relaying, running


@dataclass(frozen=True)
class Site:
    """A relay that runs, a receiver that listens with the secret the relay keeps, and where both keep it."""

    relay: Running
    listen: Running
    upstream: Running
    data_dir: Path

    def calls_left(self) -> int:
        """Return how many calls of its quota the client has left after this one."""
        key = with_made_secrets(Settings(data_dir=self.data_dir)).api_keys[0].key
        answer = httpx.get(f"{self.relay.url}/v1/overview", headers={"authorization": f"Bearer {key}"})
        return int(answer.headers["ratelimit"].split(";")[1].removeprefix("r="))

    def register(self, *arguments: object) -> Ended:
        return ended("register", *arguments, "--url", self.relay.url, data_dir=self.data_dir)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data_dir = tmp_path_factory.mktemp("data")
    upstream = running("sandbox", "--port", 0, "--durations", "fixed:0.2", "--mix", "success=1")
    receiver = running("listen", "--port", 0, "--json", said_on_stderr=True, data_dir=data_dir)
    quota = {"client_request_limit": "100000/86400"}
    with upstream as sandbox, receiver as listen, relaying(sandbox, data_dir, **quota) as relay:
        yield Site(relay, listen, sandbox, data_dir)


def test_a_registration_is_waited_for_until_its_verified_callback_is_here(site: Site) -> None:
    request_id = str(uuid4())
    done = site.register(
        request_id, "--callback", f"{site.listen.url}/hook", "--metadata", '{"a":1}', "--wait", "--json"
    )
    assert done.code == 0, done.err
    assert (done.json["state"], done.json["request_id"]) == ("delivered", request_id)
    assert done.json["metadata"] == {"a": 1}
    heard = orjson.loads(site.listen.out.readline())
    assert (heard["webhook_id"], heard["request_id"]) == (done.json["id"], request_id)
    assert (heard["type"], heard["verified"], heard["duplicate"]) == ("task.succeeded", True, False)
    assert heard["since_registered_s"] > 0


def test_the_same_wish_finds_the_first_registration(site: Site) -> None:
    wish = (str(uuid4()), "--callback", "http://127.0.0.1:1/")
    first, second = site.register(*wish), site.register(*wish)
    assert (first.code, second.code) == (0, 0)
    assert first.out.split()[1:] == ["pending"]
    assert first.out.split()[0] == second.out.split()[0]
    assert "(registered before)" in second.out


def test_waiting_ends_with_code_1_when_the_time_is_out(site: Site) -> None:
    done = site.register(str(uuid4()), "--callback", "http://127.0.0.1:1/", "--wait", 0.1)
    assert done.code == 1
    assert "not delivered within 0.1 s: it is pending" in done.err


def test_who_waits_is_held_by_the_relay_and_asks_it_once_in_five_seconds(site: Site) -> None:
    assert httpx.put(f"{site.upstream.url}/sandbox/tasks/stuck", json={"stuck": True}).is_success
    left = site.calls_left()
    assert site.register("stuck", "--callback", "http://127.0.0.1:1/", "--wait", 4).code == 1
    assert left - site.calls_left() == 3  # the registration, one look, and ours


def test_every_wrong_field_is_named(site: Site) -> None:
    done = site.register("a b", "--callback", "ftp://example.com", "--account", "!", "--deadline-s", -1)
    assert done.code == 1
    assert "422 invalid_request" in done.err
    for pointer in ("/request_id", "/account", "/deadline_s", "/callback_url"):
        assert f"\n  {pointer}: " in done.err


def test_a_problem_stays_json_for_machines(site: Site) -> None:
    done = site.register("a", "--callback", "ftp://example.com", "--json")
    assert done.code == 1
    assert done.json["code"] == "destination_refused"


def test_an_unknown_key_says_where_the_right_one_is(site: Site) -> None:
    done = site.register("a", "--callback", "http://127.0.0.1:1/", "--key", "wrong")
    assert done.code == 1
    assert "401 unauthorized" in done.err
    assert "RELAY_DATA_DIR" in done.err


def test_no_relay_says_what_to_start(tmp_path: Path) -> None:
    done = ended("register", "a", "--callback", "http://127.0.0.1:1/", host="127.0.0.1", port=1, data_dir=tmp_path)
    assert done.code == 1
    assert "nothing answers at http://127.0.0.1:1" in done.err
    assert "relay run" in done.err


@pytest.mark.parametrize(
    "arguments",
    [("--metadata", "{"), ("--metadata", "[]"), ("--url", "localhost:8080"), ("--operation", "lead.delete")],
)
def test_a_wrong_option_is_a_usage_error(arguments: tuple[str, str]) -> None:
    done = ended("register", "a", "--callback", "http://127.0.0.1:1/", *arguments)
    assert done.code == 2
    assert arguments[0] in done.err


def test_a_hashed_client_key_cannot_be_sent() -> None:
    done = ended("register", "a", "--callback", "http://127.0.0.1:1/", api_keys=f"shop:sha256={'0' * 64}")
    assert done.code == 2
    assert "--key" in done.err
