"""Each metric is the truth where no run of whole processes can show it, and no client can make a series."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import orjson
import pytest

from relay import __version__
from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import LAG_MEASURED_EACH_S, Relay
from relay.domain.delivery import RetryPolicy
from relay.domain.errors import FencedError, StoreUnavailableError
from relay.domain.gate import GatePolicy
from relay.domain.registration import RegistrationState
from relay.store import keys
from relay.store.keys import LaneKind, LaneName
from relay.store.store import Store
from relay.store.write import Write
from tests.support.builders import NOW, a_registration
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import Upstream, counted, states, wish, working
from tests.support.scrape import Scrape
from tests.support.valkey import Valkey

POLLS, DELIVERIES = LaneName(LaneKind.POLL, "default"), LaneName(LaneKind.DELIVERY, "default")
DEAF = RetryPolicy(delays_s=(0.0,))
ODD_REQUESTS = 10_000
ODD_METHODS = ("PATCH", "REPORT", "PURGE", "SUBSCRIBE", "OPTIONS")


@pytest.fixture
async def api(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(create_app(relay), "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, headers={"authorization": "Bearer alice's key"}, trust_env=False) as client,
    ):
        yield client


async def scraped(api: httpx.AsyncClient) -> Scrape:
    return Scrape.read((await api.get("/metrics")).text)


async def oldest_due_s(api: httpx.AsyncClient, kind: str) -> float:
    return (await scraped(api)).total("relay_oldest_due_seconds", kind=kind)


async def test_nothing_waits_in_an_empty_store(api: httpx.AsyncClient) -> None:
    found = await scraped(api)
    assert [value for (name, _), value in found.samples.items() if name == "relay_oldest_due_seconds"] == [0, 0]


async def test_a_task_that_no_worker_polls_is_due_since_it_was_registered(relay: Relay, api: httpx.AsyncClient) -> None:
    registered_at = time.monotonic()
    await wish(relay, "first", "http://127.0.0.1:9/")
    await wait_until(lambda: time.monotonic() > registered_at + 0.3)
    await wish(relay, "second", "http://127.0.0.1:9/")

    due_s = await oldest_due_s(api, "poll")
    assert 0.2 < due_s <= time.monotonic() - registered_at
    assert await oldest_due_s(api, "delivery") == 0
    assert (await scraped(api)).by("state", "relay_registrations") == {"pending": 2}


async def test_the_oldest_due_delivery_is_the_one_that_has_been_due_longest(
    store: Store, api: httpx.AsyncClient
) -> None:
    seconds, _ = await store.ask("TIME")
    for account, late_s in (("a", 3), ("b", 8), ("c", -60)):
        await store.ask("ZADD", keys.LANES, 1, str(LaneName(LaneKind.DELIVERY, account)))
        await store.ask("ZADD", keys.due(account), (int(seconds) - late_s) * 1000, f"reg_{account}")
    due_s = await oldest_due_s(api, "delivery")
    await store.ask("FLUSHALL")
    assert 8 <= due_s < 60


async def test_a_claimed_delivery_is_being_made_and_not_due(relay: Relay, api: httpx.AsyncClient) -> None:
    write = Write()
    due = replace(a_registration(), state=RegistrationState.DELIVERING, due_at=NOW)
    write.registration(due, now=NOW)
    await relay.store.commit(write)
    await wait_until(lambda: oldest_due_s(api, "delivery"))
    fence = await relay.lanes.acquire(DELIVERIES)
    assert fence is not None
    assert (await relay.deliveries.claim(fence, want=1)).claimed == [due.id]
    assert await oldest_due_s(api, "delivery") == 0
    await relay.store.ask("FLUSHALL")


async def test_polls_that_a_refusing_account_holds_back_are_due_although_their_lane_is_held(
    relay: Relay, upstream: Upstream, api: httpx.AsyncClient
) -> None:
    await upstream.behave(faults=["401"])
    await wish(relay, "task", "http://127.0.0.1:9/")
    async with working(replace(relay, gates=GatePolicy(refusals=1))):
        await wait_until(lambda: counted("relay_accounts_paused") == 1)
        await wait_until(lambda: oldest_due_s_over(api, 0.2))
        assert counted("relay_upstream_requests_total", account="default", outcome="unauthorized") >= 1
    assert counted("relay_accounts_paused") == 0


async def oldest_due_s_over(api: httpx.AsyncClient, seconds: float) -> bool:
    return await oldest_due_s(api, "poll") > seconds


async def test_every_call_that_a_silent_store_leaves_unanswered_is_counted(store: Store, valkey: Valkey) -> None:
    errors = counted("relay_store_errors_total")
    valkey.freeze()
    failed = await asyncio.gather(*(store.ask("PING") for _ in range(7)), return_exceptions=True)
    valkey.thaw()

    assert {type(failure) for failure in failed} == {StoreUnavailableError}
    assert counted("relay_store_errors_total") == errors + 7


async def test_while_the_store_is_silent_nothing_is_said_of_the_queue(valkey: Valkey, api: httpx.AsyncClient) -> None:
    assert await says_how_many(api)
    valkey.freeze()
    found = await scraped(api)
    valkey.thaw()

    assert not {name for name, _ in found.series} & {"relay_registrations", "relay_oldest_due_seconds"}
    await wait_until(lambda: says_how_many(api))


async def says_how_many(api: httpx.AsyncClient) -> bool:
    return "relay_registrations" in {name for name, _ in (await scraped(api)).series}


async def test_a_registration_that_the_store_does_not_confirm_is_counted_as_unavailable(
    valkey: Valkey, api: httpx.AsyncClient
) -> None:
    before = await registrations_total(api)
    valkey.freeze()
    document = {"request_id": "a", "callback_url": "http://127.0.0.1:9/"}
    alone = await api.post("/v1/registrations", json=document, timeout=30)
    batch = await api.post("/v1/registrations/batch", json={"registrations": [document] * 3}, timeout=30)
    valkey.thaw()
    statuses = [alone.status_code, *(result["status"] for result in batch.json()["results"])]
    await wait_until(lambda: says_how_many(api))

    assert statuses == [503] * 4
    assert await registrations_total(api) == before | {"unavailable": before.get("unavailable", 0) + 4}


async def registrations_total(api: httpx.AsyncClient) -> dict[str, float]:
    return (await scraped(api)).by("outcome", "relay_registrations_total")


async def test_the_build_is_the_version_that_runs(api: httpx.AsyncClient) -> None:
    found = await scraped(api)
    assert [(dict(labels), value) for (name, labels), value in found.samples.items() if name == "relay_build_info"] == [
        ({"version": __version__}, 1)
    ]


async def test_the_tasks_of_the_event_loop_are_counted(relay: Relay) -> None:
    assert relay.holder
    begun = [asyncio.create_task(asyncio.sleep(3_600)) for _ in range(1_000)]
    await wait_until(lambda: 1_000 <= counted("relay_event_loop_tasks") <= len(asyncio.all_tasks()) + 10)
    for task in begun:
        task.cancel()
    await wait_until(lambda: counted("relay_event_loop_tasks") < 1_000)


async def test_a_refused_write_is_a_store_error_too(store: Store, valkey: Valkey) -> None:
    errors = counted("relay_store_errors_total")
    await valkey.ask("CONFIG", "SET", "maxmemory", 1)
    write = Write()
    write.registration(a_registration(), now=NOW)
    with pytest.raises(StoreUnavailableError):
        await store.commit(write)
    await valkey.ask("CONFIG", "SET", "maxmemory", 0)
    assert counted("relay_store_errors_total") == errors + 1


async def test_a_write_of_a_lanes_former_holder_is_counted_as_fenced(relay: Relay) -> None:
    fenced, reclaims = counted("relay_fenced_commits_total"), counted("relay_lease_reclaims_total")
    frozen = await relay.lanes.acquire(POLLS)
    assert frozen is not None
    await relay.store.ask("ZADD", keys.LANES, "XX", 1, str(POLLS))
    assert await relay.lanes.acquire(POLLS) is not None
    with pytest.raises(FencedError):
        await relay.lanes.keep_model(frozen, b"model")
    with pytest.raises(FencedError):
        await relay.store.commit(Write(frozen))
    assert counted("relay_fenced_commits_total") == fenced + 2
    assert counted("relay_lease_reclaims_total") == reclaims + 1


async def test_a_delivery_given_up_is_dead_by_its_reason(relay: Relay, receiver: Receiver) -> None:
    before = {reason: counted("relay_deliveries_dead_total", reason=reason) for reason in ("exhausted", "gone")}
    receiver.answer("/broken", 500)
    receiver.answer("/gone", 410)
    ids = [(await wish(relay, path, receiver.url(path))).id for path in ("/broken", "/gone")]
    async with working(replace(relay, retries=DEAF)):
        await wait_until(lambda: all_dead(relay, ids))
    for reason, count in before.items():
        assert counted("relay_deliveries_dead_total", reason=reason) == count + 1


async def all_dead(relay: Relay, ids: list[str]) -> bool:
    return await states(relay, ids) == {RegistrationState.DEAD}


async def test_an_event_loop_held_up_is_seen_although_it_was_before_the_scrape(relay: Relay) -> None:
    assert relay.holder
    block_s = 4 * LAG_MEASURED_EACH_S
    await asyncio.sleep(0)  # the watch has begun
    time.sleep(block_s)  # noqa: ASYNC251 - what is measured
    await wait_until(lambda: counted("relay_event_loop_lag_seconds") >= block_s - LAG_MEASURED_EACH_S)


async def test_the_budget_shown_is_the_accounts_and_none_of_it_is_in_use_once_the_lane_is_handed_back(
    relay: Relay, upstream: Upstream
) -> None:
    account = relay.default_account()
    assert account is not None
    await relay.accounts.put(replace(account, name="half", share=0.5))
    await upstream.plan("task", stuck=True)
    await wish(relay, "task", "http://127.0.0.1:9/", account="half")
    async with working(relay):
        await wait_until(lambda: counted("relay_upstream_budget_in_use", account="half") > 0)
        assert counted("relay_upstream_budget_limit", account="half") == 25
        assert counted("relay_upstream_budget_in_use", account="half") <= 25
    assert counted("relay_upstream_budget_in_use", account="half") == 0


async def test_no_client_can_make_a_series(relay: Relay, api: httpx.AsyncClient) -> None:
    await wish(relay, "task", "http://127.0.0.1:9/")
    before = (await scraped(api)).series
    host, port = api.base_url.host, api.base_url.port
    assert port is not None
    statuses = await asyncio.gather(*(odd_requests(host, port, first) for first in range(10)))
    after = (await scraped(api)).series

    assert sum(map(len, statuses)) == ODD_REQUESTS
    assert {status for found in statuses for status in found} <= {201, 400, 401, 404, 405, 422}
    assert after == before


async def odd_requests(host: str, port: int, first: int) -> list[int]:
    """Send a tenth of them over one connection, a hundred at a time; return the statuses."""
    reader, writer = await asyncio.open_connection(host, port)
    statuses: list[int] = []
    for start in range(first, ODD_REQUESTS, 1_000):
        numbers = range(start, start + 1_000, 10)
        writer.write(b"".join(map(odd_request, numbers)))
        statuses += [await read_status(reader) for _ in numbers]
    writer.close()
    await writer.wait_closed()
    return statuses


def odd_request(number: int) -> bytes:
    """Return a request that nobody has sent before: its method, path, query, key, headers and body all differ."""
    asked = (
        "POST /v1/registrations",
        f"POST /v1/registrations?q={number}",
        f"GET /v{number}/x",
        f"GET /v1/registrations/reg_{number}",
        f"{ODD_METHODS[number % len(ODD_METHODS)]} /metrics?q={number}",
    )
    key = "alice's key" if number % 3 else f"key-{number}"
    body = orjson.dumps(
        {
            "request_id": f"odd-{number}",
            "callback_url": f"https://h{number}.example.com/{number}",
            "account": f"a{number}" if number % 4 else "default",
        }
    )
    head = (
        f"{asked[number // 10 % len(asked)]} HTTP/1.1",
        "host: relay",
        f"authorization: Bearer {key}",
        f"user-agent: odd/{number}",
        f"x-odd-{number}: {number}",
        f"content-length: {len(body)}",
        "\r\n",
    )
    return "\r\n".join(head).encode() + body


async def read_status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
    await reader.readexactly(int(length.split(":")[1]))
    return int(head.split()[1])
