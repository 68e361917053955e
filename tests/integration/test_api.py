"""The HTTP API on a real store: what clients, operators and scrapers are answered."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay, open_relay
from relay.domain.errors import StoreNotDurableError
from relay.domain.registration import RegistrationState
from relay.settings import Settings
from tests.support import relays
from tests.support.relays import ADMIN_KEY, client_of, wish
from tests.support.valkey import Valkey, valkey_in

CONTRACT_METRICS = {
    "relay_" + name
    for line in (
        "registrations_total registrations upstream_requests_total upstream_throttled_total polls_per_task",
        "upstream_request_duration_seconds upstream_budget_limit upstream_budget_in_use upstream_gate_wait_seconds",
        "detection_lag_seconds registration_to_final_seconds final_to_delivered_seconds oldest_due_seconds",
        "registration_to_delivered_seconds delivery_attempts_total delivery_attempt_duration_seconds",
        "deliveries_dead_total lease_reclaims_total fenced_commits_total store_errors_total event_loop_lag_seconds",
        "build_info",
    )
    for name in line.split()
}
WISH = {"request_id": "7ba60ab0", "callback_url": "https://receiver.example.com/hook"}


@pytest.fixture
async def api(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url, client_of(url, "alice's key") as client:
        yield client


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open a relay with these settings, serve its API, and give a client with alice's key."""
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(open_relay(settings))
        url = await stack.enter_async_context(serving(create_app(relay), "127.0.0.1", 0))
        yield await stack.enter_async_context(client_of(url, "alice's key"))


async def test_a_wish_is_created_once_and_found_again(api: httpx.AsyncClient) -> None:
    made = await api.post("/v1/registrations", json=WISH | {"metadata": {"order": [1, "ä"]}})
    again = await api.post("/v1/registrations", json=WISH)
    shown = await api.get(made.headers["location"])

    assert (made.status_code, again.status_code, shown.status_code) == (201, 200, 200)
    assert made.json() == again.json() == shown.json()
    assert made.json()["state"] == "pending"
    assert made.json()["metadata"] == {"order": [1, "ä"]}
    assert made.json()["task"] == {
        "polls": 0, "last_polled_at": None, "next_poll_at": None, "eta_at": None, "status": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "malformed_body"),
        (b'{"request_id": NaN}', 400, "malformed_body"),
        (b"[" * 5_000, 400, "malformed_body"),
        (b"[]", 422, "invalid_request"),
        (b'"' + b"a" * 65_536 + b'"', 413, "body_too_large"),
    ],
    ids=["not-json", "nan", "deep", "no-object", "large"],
)
async def test_a_bad_body_is_a_problem_with_a_code(
    api: httpx.AsyncClient, content: bytes, status: int, code: str
) -> None:
    answer = await api.post("/v1/registrations", content=content)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_large_body_is_refused_before_it_is_whole(api: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b" " * 1_024

    assert (await api.post("/v1/registrations", content=endless())).status_code == 413


@pytest.mark.parametrize("wrong", [{"request_id": "a b"}, {"account": "nobody"}])
async def test_a_refused_callback_url_is_named_with_the_other_wrong_fields(
    api: httpx.AsyncClient, wrong: dict[str, str]
) -> None:
    answer = await api.post("/v1/registrations", json={"request_id": "7", "callback_url": "ftp://example.com"} | wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}" for name in (*wrong, "callback_url")]


async def test_every_wrong_field_is_named(api: httpx.AsyncClient) -> None:
    wrong = {"request_id": "a b", "callback_url": 7, "operation": "lead.delete", "deadline_s": -1, "colour": "red"}
    answer = await api.post("/v1/registrations", json=wrong)

    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {f"/{name}" for name in wrong}


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "https://2130706433/", "http://example.com/",
        "https://example.com:22/", "ftp://example.com/", "https://user:pass@example.com/", "https://example.com\\@127.0.0.1/",
    ],
)  # fmt: skip
async def test_a_callback_url_that_points_inside_is_refused(valkey: Valkey, url: str) -> None:
    settings = relays.settings(valkey.url, callback_allow="")
    async with served(settings) as api:
        answer = await api.post("/v1/registrations", json=WISH | {"callback_url": url})

    assert (answer.status_code, answer.json()["code"]) == (422, "destination_refused")
    assert answer.json()["errors"][0]["pointer"] == "/callback_url"


async def test_an_unknown_account_is_a_wrong_field(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/registrations", json=WISH | {"account": "nobodys"})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/account"]


async def test_another_clients_registration_is_answered_like_an_absent_one(
    api: httpx.AsyncClient, relay: Relay
) -> None:
    bobs = await wish(relay, "bobs", "https://receiver.example.com/", client="bob")
    foreign = await api.get(f"/v1/registrations/{bobs.id}")
    absent = await api.get(f"/v1/registrations/{bobs.id[:-4]}0000")
    nonsense = await api.get("/v1/registrations/nonsense")

    assert foreign.status_code == 404
    assert foreign.content == absent.content == nonsense.content


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/registrations/", "/v1/registrations/..%2f", "/lead/update/status/"]
)
async def test_a_path_that_does_not_exist_is_a_problem_and_leads_nowhere(api: httpx.AsyncClient, path: str) -> None:
    for answer in (await api.get(path), await api.post(path, json=WISH)):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_bug_is_a_problem_with_the_id_that_the_log_has(relay: Relay) -> None:
    async def fail(_: Request) -> Response:
        raise ZeroDivisionError

    app = create_app(relay)
    app.router.routes.append(Route("/bug", fail))
    async with serving(app, "127.0.0.1", 0) as url, client_of(url, "alice's key") as api:
        answer = await api.get("/bug", headers={"x-request-id": "web-7"})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert (answer.headers["content-type"], answer.headers["x-request-id"]) == ("application/problem+json", "web-7")


async def test_an_unknown_method_is_a_problem_that_names_the_others(api: httpx.AsyncClient) -> None:
    wrong_method = await api.patch("/v1/registrations")

    assert wrong_method.headers["allow"] == "GET, HEAD, POST"
    assert (wrong_method.status_code, wrong_method.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_without_a_store_nothing_is_promised(tmp_path: Path, how: str) -> None:
    async with valkey_in(tmp_path) as valkey:
        settings = relays.settings(valkey.url)
        async with served(settings) as api:
            await (valkey.kill() if how == "kill" else frozen(valkey))
            refused = await api.post("/v1/registrations", json=WISH)
            ready = await api.get("/readyz")
            live = await api.get("/healthz")
            await (valkey.start() if how == "kill" else thawed(valkey))
            taken = await api.post("/v1/registrations", json=WISH)

    assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert (ready.status_code, live.status_code) == (503, 200)
    assert taken.status_code in {200, 201}


async def frozen(valkey: Valkey) -> None:
    valkey.freeze()


async def thawed(valkey: Valkey) -> None:
    valkey.thaw()


async def test_a_store_that_runs_full_is_a_503_and_takes_again_when_there_is_room(
    api: httpx.AsyncClient, valkey: Valkey
) -> None:
    await valkey.ask("CONFIG", "SET", "maxmemory", "1mb")
    try:
        refused = await api.post("/v1/registrations", json=WISH)
    finally:
        await valkey.ask("CONFIG", "SET", "maxmemory", "0")
    taken = await api.post("/v1/registrations", json=WISH)

    assert (refused.status_code, taken.status_code) == (503, 201)


async def test_a_store_that_is_not_durable_stops_the_start_or_is_shown(tmp_path: Path) -> None:
    async with valkey_in(tmp_path, appendfsync="everysec") as valkey:
        with pytest.raises(StoreNotDurableError, match="appendfsync is everysec"):
            async with open_relay(relays.settings(valkey.url)):
                pass
        settings = relays.settings(valkey.url, allow_degraded=True)
        async with served(settings) as anybody:
            ready = await anybody.get("/readyz")

    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded: appendfsync is everysec, not always"


async def test_the_metrics_are_those_of_the_contract(api: httpx.AsyncClient) -> None:
    await api.post("/v1/registrations", json=WISH)
    text = (await api.get("/metrics")).text
    declared = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE relay_")}

    assert CONTRACT_METRICS - declared == set()
    waiting: dict[Any, float] = {
        sample.labels["state"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "relay_registrations"
    }
    assert waiting == dict.fromkeys(RegistrationState, 0) | {"pending": 1}


async def test_an_accounts_key_goes_in_encrypted_and_never_comes_out(api: httpx.AsyncClient, valkey: Valkey) -> None:
    secret = "a-sentinel-upstream-key"
    async with client_of(str(api.base_url), ADMIN_KEY) as admin:
        made = await admin.put("/v1/accounts/second", json={"upstream_api_key": secret, "limit": "10/5"})
        changed = await admin.put("/v1/accounts/second", json={"upstream_api_key": secret, "clients": ["bob"]})
        shown = await admin.get("/v1/accounts/second")
        gone = await admin.delete("/v1/accounts/second")
        absent = await admin.get("/v1/accounts/second")
        stored = await admin.put("/v1/accounts/second", json={"upstream_api_key": secret})

    assert [made.status_code, changed.status_code, gone.status_code, absent.status_code] == [201, 200, 204, 404]
    assert shown.json()["clients"] == ["bob"]
    assert secret not in made.text + changed.text + shown.text + stored.text
    assert secret.encode() not in b"".join((await valkey.ask("HGETALL", "relay:accounts")).values())


async def test_an_account_admits_only_its_clients(api: httpx.AsyncClient) -> None:
    async with client_of(str(api.base_url), ADMIN_KEY) as admin:
        await admin.put("/v1/accounts/bobs", json={"upstream_api_key": "k", "clients": ["bob"]})
    async with client_of(str(api.base_url), "bob's key") as bob:
        admitted = await bob.post("/v1/registrations", json=WISH | {"account": "bobs"})
    refused = await api.post("/v1/registrations", json=WISH | {"account": "bobs"})

    assert (admitted.status_code, refused.status_code) == (201, 422)
