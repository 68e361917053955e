"""Clients on a real store: what each key allows, how often it may ask, and what the operator sees of it."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from starlette.routing import Route

from relay.api.app import ROUTES, create_app
from relay.api.serving import serving
from relay.context import open_relay
from relay.domain.caller import Scope
from relay.domain.operations import DETAILS
from tests.support import relays
from tests.support.clock import wait_until
from tests.support.relays import ADMIN_KEY
from tests.support.valkey import Valkey

WISH = {"request_id": "7ba60ab0", "callback_url": "https://receiver.example.com/hook"}
KEYS = "alice:alice's key,alice[read]:alice's other key,bob[register]:bob's key,carol[admin]:carol's key"

# What each route asks of a key. A route that is not here has no rule, and fails the test.
OPEN = "open"
UPSTREAM = "the upstream's own way: x-api-key, and a key that may read"
CONSOLE_FILES = ("console.css", "console.js", "elements.js", "history.js", "relay.js", "views.js")
RULES: dict[tuple[str, str], Scope | str] = {
    ("POST", "/v1/registrations"): Scope.REGISTER,
    ("GET", "/v1/registrations"): Scope.READ,
    ("POST", "/v1/registrations/batch"): Scope.REGISTER,
    ("GET", "/v1/registrations/{id}"): Scope.READ,
    ("DELETE", "/v1/registrations/{id}"): Scope.REGISTER,
    ("POST", "/v1/registrations/{id}/redeliver"): Scope.REGISTER,
    ("GET", "/v1/registrations/{id}/events"): Scope.READ,
    ("GET", "/v1/events"): Scope.READ,
    ("GET", "/v1/overview"): Scope.READ,
    ("GET", "/v1/clients"): Scope.ADMIN,
    ("GET", "/v1/accounts"): Scope.ADMIN,
    ("GET", "/v1/accounts/{name}"): Scope.ADMIN,
    ("PUT", "/v1/accounts/{name}"): Scope.ADMIN,
    ("DELETE", "/v1/accounts/{name}"): Scope.ADMIN,
    **{("GET", details.status_path): UPSTREAM for details in DETAILS.values()},
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/docs/reference.css"): OPEN,
    ("GET", "/"): OPEN,
    ("GET", "/console"): OPEN,
    **{("GET", f"/console/{name}"): OPEN for name in CONSOLE_FILES},
}
BAD_AUTHORIZATIONS = [
    None, "", "Bearer", "Bearer nobody's", "Basic YWxpY2U6YWxpY2UncyBrZXk=", "alice's key", "Bearer alice",
    "Bearer ALICE'S KEY", "Bearer alice's key,", "Bearer sha256=", f"Bearer {'x' * 4_000}", "Bearer \xff\xfe",
]  # fmt: skip
BAD_API_KEYS = [None, "", "nobody's", "alice", "ALICE'S KEY", "Bearer alice's key", "sha256=", "x" * 4_000, "\xff\xfe"]


@dataclass
class Served:
    """An API of its own on the store of the test."""

    url: str

    @asynccontextmanager
    async def with_key(self, key: str) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"authorization": f"Bearer {key}", "x-api-key": key}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False) as http:
            yield http

    async def ask_json(self, key: str, wish: dict[str, str]) -> httpx.Response:
        async with self.with_key(key) as http:
            return await http.post("/v1/registrations", json=wish)

    async def ask(self, method: str, path: str, key: str) -> httpx.Response:
        async with self.with_key(key) as http, http.stream(method, path) as answer:
            if not answer.headers["content-type"].startswith("text/event-stream"):  # which has no end
                await answer.aread()
            return answer


@asynccontextmanager
async def served(valkey: Valkey, **changes: object) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(
            open_relay(relays.settings(valkey.url, **{"api_keys": KEYS, **changes}))
        )
        yield Served(await stack.enter_async_context(serving(create_app(relay), "127.0.0.1", 0)))


@pytest.fixture
async def api(valkey: Valkey) -> AsyncIterator[Served]:
    async with served(valkey) as api:
        yield api


def routes() -> list[tuple[str, str]]:
    return [(method, route.path) for route in ROUTES for method in methods_of(route)]


def methods_of(route: Route) -> set[str]:
    assert route.methods is not None
    return route.methods - {"HEAD"}


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    assert set(routes()) == RULES.keys()


@pytest.mark.parametrize(("method", "path"), sorted(RULES))
async def test_no_bad_key_gets_in_anywhere(api: Served, method: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=api.url, trust_env=False) as stranger:
        for bad in BAD_API_KEYS if RULES[method, path] is UPSTREAM else BAD_AUTHORIZATIONS:
            name = b"x-api-key" if RULES[method, path] is UPSTREAM else b"authorization"
            headers = {} if bad is None else {name: bad.encode("latin-1")}
            answer = await stranger.request(method, re.sub(r"\{\w+\}", "x", path), headers=headers)
            if RULES[method, path] is OPEN:
                assert answer.status_code == 200
            elif RULES[method, path] is UPSTREAM:
                assert (answer.status_code, answer.json()["Status"]) == (401, "Error")
            else:
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), bad
                assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), sorted(RULES))
async def test_a_key_opens_what_its_scopes_allow_and_nothing_else(api: Served, method: str, path: str) -> None:
    holds = {
        "alice's key": {Scope.REGISTER, Scope.READ},
        "alice's other key": {Scope.READ},
        "bob's key": {Scope.REGISTER},
        "carol's key": set(Scope),
        ADMIN_KEY: set(Scope),
    }
    for key, scopes in holds.items():
        answer = await api.ask(method, re.sub(r"\{\w+\}", "x", path), key)
        refused = answer.status_code == 403
        rule = Scope.READ if RULES[method, path] is UPSTREAM else RULES[method, path]
        assert refused == (rule not in {OPEN, *scopes}), key
        assert not refused or "forbidden" in answer.json().values() or answer.json()["Status"] == "Error"
        assert answer.status_code != 401


async def test_a_key_of_any_bytes_is_known_by_its_bytes(valkey: Valkey) -> None:
    async with served(valkey, api_keys="alice:schlüssel") as api, httpx.AsyncClient(trust_env=False) as http:
        headers = {b"authorization": "Bearer schlüssel".encode()}
        answer = await http.get(f"{api.url}/v1/registrations/x", headers=headers)
    assert answer.status_code == 404


async def test_an_admin_sees_what_belongs_to_others(api: Served) -> None:
    async with api.with_key("alice's key") as alice:
        made = await alice.post("/v1/registrations", json=WISH)
    path = made.headers["location"]

    assert (await api.ask("GET", path, "carol's key")).json() == made.json()
    assert (await api.ask("GET", path, "alice's other key")).json() == made.json()


async def test_the_quota_for_requests_is_shown_kept_and_whole_again(valkey: Valkey) -> None:
    async with served(valkey, client_request_limit="3/600") as api, api.with_key("alice's key") as alice:
        answers = [await alice.get("/v1/registrations/x") for _ in range(4)]
        bobs = await api.ask("GET", "/v1/registrations/x", "carol's key")
        healthy = await alice.get("/healthz")
        admins = [await api.ask("GET", "/v1/clients", ADMIN_KEY) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert [answer.headers["ratelimit-policy"] for answer in answers] == ['"requests";q=3;w=600'] * 4
    left = [re.fullmatch(r'"requests";r=(\d+);t=(\d+)', answer.headers["ratelimit"]) for answer in answers]
    assert [match and match[1] for match in left] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json()["code"], refused.json()["violated-policies"]) == ("quota_exceeded", ["requests"])
    assert left[-1] is not None
    assert refused.headers["retry-after"] == left[-1][2]
    assert (bobs.status_code, healthy.status_code) == (404, 200)
    assert "ratelimit" not in healthy.headers
    assert {answer.status_code for answer in admins} == {200}


async def test_processes_share_the_quota_for_requests(valkey: Valkey) -> None:
    async with (
        served(valkey, client_request_limit="10/86400") as one,
        served(valkey, client_request_limit="10/86400") as other,
        one.with_key("alice's key") as alice,
        other.with_key("alice's key") as alice_too,
    ):
        for _ in range(7):
            await alice.get("/v1/registrations/x")
        told = r'"requests";r=(\d);.*'

        async def heard() -> bool:
            answer = await alice_too.get("/v1/registrations/x")
            match = re.fullmatch(told, answer.headers["ratelimit"])
            return answer.status_code == 429 and match is not None and match[1] == "0"

        await wait_until(heard)


async def test_the_quota_for_pending_registrations_is_kept_and_room_is_made_by_what_ends(valkey: Valkey) -> None:
    async with served(valkey, client_pending_limit=3) as api, api.with_key("alice's key") as alice:
        wishes = [WISH | {"request_id": f"task-{number}"} for number in range(5)]
        made = [await alice.post("/v1/registrations", json=wish) for wish in wishes]
        again = await alice.post("/v1/registrations", json=wishes[0])
        bobs = await api.ask_json("bob's key", WISH)
        await alice.delete(made[0].headers["location"])

        async def there_is_room() -> bool:
            return (await alice.post("/v1/registrations", json=wishes[4])).status_code == 201

        await wait_until(there_is_room)
        shown = (await api.ask("GET", "/v1/clients", ADMIN_KEY)).json()

    assert [answer.status_code for answer in made] == [201, 201, 201, 429, 429]
    assert (again.status_code, bobs.status_code) == (200, 201)
    assert (made[3].json()["code"], made[3].json()["violated-policies"]) == ("quota_exceeded", ["pending"])
    assert int(made[3].headers["retry-after"]) >= 1
    assert (shown["pending_limit"], {one["name"]: one["pending"] for one in shown["clients"]}["alice"]) == (3, 3)


async def test_a_batch_is_taken_as_far_as_the_quota_goes(valkey: Valkey) -> None:
    async with served(valkey, client_pending_limit=10) as api, api.with_key("alice's key") as alice:
        wishes = [WISH | {"request_id": f"task-{number}"} for number in range(50)]
        answer = await alice.post("/v1/registrations/batch", json={"registrations": wishes})
    statuses = Counter(result["status"] for result in answer.json()["results"])
    assert statuses == {201: 10, 429: 40}


async def test_the_operator_sees_the_clients_keys_scopes_and_last_use_and_never_a_key(api: Served) -> None:
    await api.ask("GET", "/v1/registrations/x", "alice's other key")

    async def shown() -> dict[str, list[dict[str, object]]]:
        document = (await api.ask("GET", "/v1/clients", ADMIN_KEY)).json()
        return {client["name"]: client["keys"] for client in document["clients"]}

    async def noted() -> bool:
        return any(key["last_used_at"] for key in (await shown())["alice"])

    await wait_until(noted)
    clients = await shown()
    assert set(clients) == {"admin", "alice", "bob", "carol"}
    assert [key["scopes"] for key in clients["alice"]] == [["read", "register"], ["read"]]
    assert [key["last_used_at"] is None for key in clients["alice"]] == [True, False]
    assert clients["bob"][0]["last_used_at"] is None
    assert "'s key" not in str(clients)
