"""`relay doctor` against real stores and upstreams, healthy and not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from relay.domain.signature import Secret
from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from relay.store.lanes import LaneStore
from relay.store.store import Store
from tests.support.commands import Ended, Running, ended, running
from tests.support.valkey import Valkey, valkey_in

SECRETS = {
    "signing_secret": "whsec_" + "a" * 43 + "=",
    "encryption_keys": Fernet.generate_key().decode(),
    "api_keys": "shop:the-client-key",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with running("sandbox", "--port", 0, "--behaviour", '{"api_keys": ["right"], "unknown": "400"}') as sandbox:
        yield sandbox


def doctor(tmp_path: Path, *arguments: str, **settings: object) -> Ended:
    return ended("doctor", *arguments, **({"data_dir": tmp_path} | settings))


def checks(done: Ended) -> dict[str, Any]:
    return {check["name"]: check for check in done.json["checks"]}


def report(upstream: Running) -> Any:
    return httpx.get(f"{upstream.url}/sandbox/report", trust_env=False).json()


def verdicts(done: Ended, *names: str) -> list[str]:
    found = checks(done)
    return [found[name]["verdict"] for name in names]


async def test_a_whole_deployment_is_found_healthy_and_no_secret_is_shown(
    valkey: Valkey, sandbox: Running, tmp_path: Path
) -> None:
    upstream = {"upstream_url": sandbox.url, "upstream_api_key": "right"}
    done = doctor(tmp_path, redis_url=valkey.url, **upstream, **SECRETS)
    assert done.code == 0, done.out
    lines = done.out.splitlines()
    assert lines.pop() == "nothing is wrong"
    assert all(line.startswith("ok ") for line in lines)
    for name in ("store version", "store durability", "store write", "clock", "upstream", "callback"):
        assert any(line.split(None, 1)[1].startswith(name) for line in lines)
    for secret in (*SECRETS.values(), "the-client-key", "right ", valkey.url):
        assert secret not in done.out


def test_nothing_configured_is_healthy_and_nothing_is_written(tmp_path: Path) -> None:
    done = doctor(tmp_path / "new", "--json")
    assert (done.code, done.json["ok"]) == (0, True)
    assert not (tmp_path / "new").exists()


def test_each_wrong_setting_is_named_and_the_rest_is_checked_still(tmp_path: Path) -> None:
    settings = {"port": 99_999, "tipo": 1, "upstream_url": "http://127.0.0.1:1", "host": "0.0.0.0"}  # noqa: S104 - what is judged
    done = doctor(tmp_path, "--json", **settings)
    wrong = {name for name, check in checks(done).items() if check["verdict"] == "wrong"}
    assert (done.code, done.json["ok"]) == (1, False)
    assert wrong == {"RELAY_PORT", "RELAY_TIPO", "RELAY_UPSTREAM_API_KEY", "RELAY_API_KEYS"}
    assert all(check["mend"] for check in done.json["checks"] if check["verdict"] == "wrong")


async def test_a_store_that_would_lose_writes_is_wrong_unless_that_is_allowed(tmp_path: Path) -> None:
    async with valkey_in(tmp_path / "valkey", appendfsync="everysec") as valkey:
        strict = doctor(tmp_path, "--json", redis_url=valkey.url, **SECRETS)
        lenient = doctor(tmp_path, "--json", redis_url=valkey.url, allow_degraded="true", **SECRETS)
    assert (strict.code, verdicts(strict, "store durability")) == (1, ["wrong"])
    assert "appendfsync is everysec, not always" in checks(strict)["store durability"]["detail"]
    assert (lenient.code, verdicts(lenient, "store durability")) == (0, ["warning"])


def test_no_store_no_upstream_and_no_secrets_are_each_said(tmp_path: Path) -> None:
    unreachable = {"redis_url": "redis://127.0.0.1:1", "upstream_url": "http://127.0.0.1:1", "upstream_api_key": "key"}
    done = doctor(tmp_path, "--json", **unreachable)
    assert done.code == 1
    names = ("store", "upstream", "RELAY_SIGNING_SECRET", "RELAY_ENCRYPTION_KEYS")
    assert verdicts(done, *names) == ["wrong", "warning", "wrong", "wrong"]
    assert "not asked" in checks(done)["upstream"]["detail"]


def test_an_upstream_that_is_not_there_is_wrong(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json", upstream_url="http://127.0.0.1:1", upstream_api_key="key")
    assert (done.code, verdicts(done, "upstream")) == (1, ["wrong"])


async def test_the_one_call_is_made_in_a_slot_that_stays_held_for_a_window(valkey: Valkey, tmp_path: Path) -> None:
    with running("sandbox", "--port", 0, "--limit", "1/2") as upstream:
        settings = {"upstream_url": upstream.url, "upstream_api_key": "key", "upstream_limit": "1/2"}
        done = [doctor(tmp_path, "--json", redis_url=valkey.url, **settings, **SECRETS) for _ in range(2)]
        seen = report(upstream)["accounts"]["key"]
    assert [verdicts(one, "upstream") for one in done] == [["ok"], ["ok"]]
    assert (seen["arrivals"], seen["worst_window"], seen["refused"]) == (2, 1, {})


async def test_a_lane_that_a_worker_holds_is_left_to_it(valkey: Valkey, store: Store, tmp_path: Path) -> None:
    lane = LaneName(LaneKind.POLL, "default")
    assert await LaneStore(store, "worker").acquire(lane) is not None
    await store.ask("ZADD", keys.LANES, "XX", 1 << 50, str(lane))  # for longer than the doctor takes
    with running("sandbox", "--port", 0) as upstream:
        settings = {"upstream_url": upstream.url, "upstream_api_key": "key"}
        done = doctor(tmp_path, "--json", redis_url=valkey.url, **settings, **SECRETS)
        arrivals = report(upstream)["arrivals"]
    await store.ask("FLUSHALL")
    assert (done.code, verdicts(done, "upstream")) == (0, ["ok"])
    assert "not asked: a worker polls the account" in checks(done)["upstream"]["detail"]
    assert arrivals == 0


async def test_a_store_that_takes_no_writes_is_wrong_although_it_answers(tmp_path: Path) -> None:
    async with valkey_in(tmp_path / "valkey", replicaof="127.0.0.1 1") as valkey:  # whose primary is not there
        done = doctor(tmp_path, "--json", redis_url=valkey.url, **SECRETS)
    assert (done.code, verdicts(done, "store", "store write")) == (1, ["ok", "wrong"])


async def test_the_server_that_a_run_embeds_is_found_where_it_runs(tmp_path: Path) -> None:
    async with valkey_in(tmp_path):
        done = doctor(tmp_path, "--json")
    assert done.code == 0, done.out
    assert verdicts(done, "store", "store durability", "store write") == ["ok"] * 3


@pytest.mark.parametrize("secrets", [{}, {"signing_secret": f"{SECRETS['signing_secret']},whsec_{'b' * 43}="}])
def test_a_callback_is_verified_with_each_secret_there_is(tmp_path: Path, secrets: dict[str, str]) -> None:
    done = doctor(tmp_path, "--json", **secrets)
    assert verdicts(done, "callback") == ["ok"]
    assert ("RELAY_SIGNING_SECRET" if secrets else "made for this") in checks(done)["callback"]["detail"]


def test_traces_are_spoken_of_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "traces" not in checks(doctor(tmp_path, "--json"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    assert verdicts(doctor(tmp_path, "--json"), "traces") == ["ok"]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"upstream_api_key": "wrong"}, "it refuses the key"),
        ({"upstream_api_key": "right", "upstream_status_path": "/elsewhere"}, "there is no such path"),
    ],
)
def test_a_wrong_key_and_a_wrong_path_are_told_apart(
    sandbox: Running, tmp_path: Path, settings: dict[str, str], found: str
) -> None:
    done = doctor(tmp_path, "--json", upstream_url=sandbox.url, **settings)
    assert (done.code, verdicts(done, "upstream")) == (1, ["wrong"])
    assert found in checks(done)["upstream"]["detail"]


def test_secrets_that_a_run_keeps_are_found_and_damage_is_seen(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    done = doctor(tmp_path, "--json")
    assert (done.code, verdicts(done, "RELAY_SIGNING_SECRET")) == (1, ["wrong"])


def test_fresh_secrets_are_printed_alone(tmp_path: Path) -> None:
    first, second = (doctor(tmp_path, "--new-secret") for _ in range(2))
    assert len(Secret.parse(first.out.removesuffix("\n")).key) == 32
    assert first.out != second.out
    Fernet(doctor(tmp_path, "--new-encryption-key").out.removesuffix("\n"))
    assert doctor(tmp_path, "--new-secret", "--new-encryption-key").code == 2
