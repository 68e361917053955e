"""Many registrations in one call: each is taken or refused for itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay
from tests.support.relays import client_of
from tests.support.valkey import Valkey

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
async def api(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url, client_of(url, "alice's key") as client:
        yield client


async def sent(api: httpx.AsyncClient, *wishes: Any) -> list[dict[str, Any]]:
    answer = await api.post("/v1/registrations/batch", json={"registrations": wishes})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def a_wish(number: int, **changes: Any) -> dict[str, Any]:
    return {"request_id": f"task-{number}", "callback_url": URL} | changes


async def test_each_wish_has_its_result_in_order(api: httpx.AsyncClient) -> None:
    alone = await api.post("/v1/registrations", json=a_wish(1))
    results = await sent(
        api, a_wish(0), a_wish(1), a_wish(0), a_wish(2, callback_url="https://10.0.0.1/"), a_wish(3, colour="red"), 7
    )

    assert [result["status"] for result in results] == [201, 200, 200, 422, 422, 422]
    assert results[1]["registration"] == alone.json()
    assert results[1]["location"] == alone.headers["location"]
    assert results[0]["registration"]["id"] == results[2]["registration"]["id"]
    assert results[3]["problem"]["code"] == "destination_refused"
    assert results[4]["problem"]["errors"][0]["pointer"] == "/colour"
    assert results[5]["problem"]["code"] == "invalid_request"


async def test_a_thousand_are_taken_and_one_more_is_refused(api: httpx.AsyncClient) -> None:
    results = await sent(api, *map(a_wish, range(1_000)))
    refused = await api.post("/v1/registrations/batch", json={"registrations": [a_wish(0)] * 1_001})

    assert {result["status"] for result in results} == {201}
    assert [result["registration"]["request_id"] for result in results] == [f"task-{n}" for n in range(1_000)]
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/registrations")


async def test_many_for_one_task_all_wait_for_it(api: httpx.AsyncClient, relay: Relay) -> None:
    results = await sent(api, *(a_wish(0, callback_url=f"{URL}/{number}") for number in range(300)))

    assert {result["status"] for result in results} == {201}
    assert await relay.store.ask("ZCARD", "relay:{0a}:pending:default") in {0, 1}
    ids = {result["registration"]["id"] for result in results}
    [registration] = await relay.store.registrations((results[0]["registration"]["id"],))
    task = await relay.store.task(registration.task_name)
    assert task is not None
    assert set(task.waiters) == ids


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], "/registrations"),
        ({}, "/registrations"),
        ({"registrations": []}, "/registrations"),
        ({"registrations": {}}, "/registrations"),
        ({"registrations": [a_wish(0)], "all": True}, "/all"),
    ],
)
async def test_what_is_no_batch_is_refused_whole(api: httpx.AsyncClient, body: Any, pointer: str) -> None:
    answer = await api.post("/v1/registrations/batch", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_batch_that_is_too_large_is_refused_whole(api: httpx.AsyncClient) -> None:
    large = [a_wish(number, metadata={"text": "x" * 9_000}) for number in range(1_000)]
    answer = await api.post("/v1/registrations/batch", json={"registrations": large})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_with_the_store_full_each_one_is_refused_and_none_is_kept(api: httpx.AsyncClient, valkey: Valkey) -> None:
    await api.get("/healthz")
    await valkey.ask("CONFIG", "SET", "maxmemory", "1mb")
    try:
        results = await sent(api, *map(a_wish, range(5)))
    finally:
        await valkey.ask("CONFIG", "SET", "maxmemory", "0")

    assert {(result["status"], result["problem"]["code"]) for result in results} == {(503, "store_unavailable")}
    assert await valkey.ask("DBSIZE") == 0


async def test_others_are_served_while_a_batch_is_taken(api: httpx.AsyncClient) -> None:
    batch = asyncio.create_task(sent(api, *map(a_wish, range(1_000))))
    live = 0
    while not batch.done():
        live += (await api.get("/healthz")).status_code == 200

    assert live > 1
    assert len(await batch) == 1_000
