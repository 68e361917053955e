"""An answer that is held back until the task is final."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay, open_relay
from relay.store import keys
from tests.support import relays
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import Upstream, all_delivered, client_of, wish, working
from tests.support.valkey import Valkey, valkey_in

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
async def api(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url, client_of(url, "alice's key") as client:
        client.timeout = httpx.Timeout(50)
        yield client


def waiting(api: httpx.AsyncClient, id_: str, wait: object = 45, **headers: str) -> asyncio.Task[httpx.Response]:
    """Begin to wait, and go on."""
    return asyncio.create_task(api.get(f"/v1/registrations/{id_}", params={"wait": str(wait)}, headers=headers))


async def is_heard(valkey: Valkey, client: str = "alice") -> bool:
    """Whether some process listens to what happens to the client's registrations."""
    async with Redis.from_url(valkey.url) as redis:
        [(_, listeners)] = await redis.pubsub_numsub(keys.events(client))
    return bool(listeners)


async def test_the_answer_comes_once_the_task_is_final(
    api: httpx.AsyncClient, relay: Relay, receiver: Receiver, valkey: Valkey
) -> None:
    one = await wish(relay, "a", receiver.url())
    answer = waiting(api, one.id)
    await wait_until(lambda: is_heard(valkey))
    assert not answer.done()
    async with working(relay):
        shown = (await answer).json()
        await wait_until(lambda: all_delivered(relay, [one.id]))

    assert shown["state"] in {"delivering", "delivered"}
    assert shown["type"] == "task.succeeded"
    assert shown["task"]["status"]["Status"] == "Success"
    await wait_until(lambda: is_forgotten(valkey))


async def is_forgotten(valkey: Valkey) -> bool:
    return not await is_heard(valkey)


@pytest.mark.parametrize("end", ["cancelled", "expired"])
async def test_whatever_ends_it_ends_the_wait(
    api: httpx.AsyncClient, relay: Relay, upstream: Upstream, valkey: Valkey, end: str
) -> None:
    await upstream.plan("a", stuck=True)
    one = await wish(relay, "a", URL, deadline_s=1.0 if end == "expired" else 100.0)
    answer = waiting(api, one.id)
    await wait_until(lambda: is_heard(valkey))
    if end == "cancelled":
        await api.delete(f"/v1/registrations/{one.id}")
        shown = (await answer).json()
    else:
        async with working(relay):
            shown = (await answer).json()

    assert (shown["state"], shown["type"]) == {
        "cancelled": ("cancelled", None), "expired": ("delivering", "task.expired"),
    }[end]  # fmt: skip


async def test_when_the_time_is_out_it_is_shown_as_it_stands(api: httpx.AsyncClient, relay: Relay) -> None:
    one = await wish(relay, "a", URL)
    answer = await waiting(api, one.id, wait=0.05)

    assert (answer.status_code, answer.json()["state"]) == (200, "pending")


async def test_one_that_is_final_is_not_waited_for(api: httpx.AsyncClient, relay: Relay) -> None:
    one = await wish(relay, "a", URL)
    await api.delete(f"/v1/registrations/{one.id}")

    assert (await waiting(api, one.id)).json()["state"] == "cancelled"


async def test_hundreds_who_wait_are_each_answered(api: httpx.AsyncClient, relay: Relay, receiver: Receiver) -> None:
    made = [await wish(relay, f"task-{number % 20}", receiver.url(f"/{number}")) for number in range(90)]
    answers = [waiting(api, one.id) for one in made]
    async with working(relay):
        shown = [(await answer).json() for answer in answers]

    assert {one["state"] for one in shown} <= {"delivering", "delivered"}
    assert [one["id"] for one in shown] == [one.id for one in made]


async def commands(valkey: Valkey) -> dict[str, int]:
    """Return how often each command was called; the subscription's ping, once a second, is a clock."""
    stats = await valkey.ask("INFO", "commandstats")
    return {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}


async def pinged(valkey: Valkey, times: int) -> dict[str, int]:
    """Wait until the store was pinged so often from now on, and return how often it was called."""
    until = (await commands(valkey)).get("ping", 0) + times

    async def is_pinged() -> bool:
        return (await commands(valkey)).get("ping", 0) >= until

    await wait_until(is_pinged)
    return await commands(valkey)


async def test_hundreds_who_wait_cost_one_subscription_and_not_a_command_however_long(
    api: httpx.AsyncClient, relay: Relay, valkey: Valkey
) -> None:
    one = await wish(relay, "a", URL)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=api.base_url, headers=api.headers, limits=limits, timeout=50) as many:
        answers = [waiting(many, one.id) for _ in range(200)]
        await wait_until(lambda: is_heard(valkey))
        before = await pinged(valkey, 3)  # what was asked at the beginning, and the quota's count, are told by then
        after = await pinged(valkey, 3)
        async with Redis.from_url(valkey.url) as redis:
            subscribed = await redis.client_list(_type="pubsub")
        still_waiting = [not answer.done() for answer in answers]
        await api.delete(f"/v1/registrations/{one.id}")
        shown = [(await answer).json()["state"] for answer in answers]

    own = {"ping", "info", "hello", "client|setinfo", "client|list", "select"}  # the clock, and those who read it
    grown = {name: calls - before.get(name, 0) for name, calls in after.items() if calls != before.get(name, 0)}
    assert {name: calls for name, calls in grown.items() if name not in own} == {}
    assert len(subscribed) == 1
    assert all(still_waiting)
    assert shown == ["cancelled"] * 200


async def test_a_preference_is_applied_and_says_so(api: httpx.AsyncClient, relay: Relay) -> None:
    one = await wish(relay, "a", URL)
    await api.delete(f"/v1/registrations/{one.id}")
    path = f"/v1/registrations/{one.id}"
    preferred = await api.get(path, headers={"prefer": "respond-async, wait=100"})
    both = await api.get(path, params={"wait": 1}, headers={"prefer": "wait=5"})
    ignored = await api.get(path, headers={"prefer": "wait=soon"})

    assert preferred.headers["preference-applied"] == "wait=60"
    assert "preference-applied" not in both.headers
    assert (ignored.status_code, "preference-applied" in ignored.headers) == (200, False)


@pytest.mark.parametrize("query", ["wait=-1", "wait=61", "wait=soon", "wait=", "wait=1e2", "wait=1&wait=2", "wiat=1"])
async def test_a_wrong_wait_is_named(api: httpx.AsyncClient, relay: Relay, query: str) -> None:
    one = await wish(relay, "a", URL)
    answer = await api.get(f"/v1/registrations/{one.id}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


async def test_nobody_waits_for_what_is_anothers(api: httpx.AsyncClient, relay: Relay) -> None:
    bobs = await wish(relay, "a", URL, client="bob")
    foreign, absent = await waiting(api, bobs.id), await waiting(api, f"{bobs.id[:-4]}0000")

    assert foreign.status_code == 404
    assert foreign.content == absent.content


async def test_a_process_that_ends_lets_everybody_go_at_once(relay: Relay, valkey: Valkey) -> None:
    one = await wish(relay, "a", URL)
    async with client_of("", "alice's key") as api:
        async with serving(create_app(relay), "127.0.0.1", 0) as url:
            api.base_url, api.timeout = httpx.URL(url), httpx.Timeout(50)
            answer = waiting(api, one.id)
            await wait_until(lambda: is_heard(valkey))
        assert (await answer).json()["state"] == "pending"


@pytest.mark.parametrize("how", ["killed", "cut off"])
async def test_a_wait_outlives_the_store_and_misses_nothing(tmp_path: Path, how: str) -> None:
    async with valkey_in(tmp_path) as valkey, open_relay(relays.settings(valkey.url)) as relay:
        one = await wish(relay, "a", URL)
        async with serving(create_app(relay), "127.0.0.1", 0) as url, client_of(url, "alice's key") as api:
            api.timeout = httpx.Timeout(50)
            answer = waiting(api, one.id)
            await wait_until(lambda: is_heard(valkey))
            await break_subscription(valkey, how)
            await wait_until(lambda: is_cancelled(api, one.id))  # told to nobody who listens, most likely
            shown: dict[str, Any] = (await answer).json()

    assert shown["state"] == "cancelled"


async def break_subscription(valkey: Valkey, how: str) -> None:
    if how == "killed":
        await valkey.kill()
        await valkey.start()
    else:
        await valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")


async def is_cancelled(api: httpx.AsyncClient, id_: str) -> bool:
    return (await api.delete(f"/v1/registrations/{id_}")).status_code in {204, 409}
