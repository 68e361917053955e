"""The stream of events: in order, each once, resumed wherever it broke."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from relay.api.app import create_app
from relay.api.events import MAX_STREAMS
from relay.api.serving import serving
from relay.client import AsyncRelayClient
from relay.context import Relay, open_relay
from relay.conversation import Event
from relay.store import keys
from tests.support import relays
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import ADMIN_KEY, Upstream, all_delivered, client_of, wish, working
from tests.support.valkey import Valkey, valkey_in

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
async def url(relay: Relay) -> AsyncIterator[str]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url:
        yield url


async def heard(url: str, count: int, *, after: str | None = None, key: str = "alice's key") -> list[Event]:
    """Return the first `count` events of the stream after that one, and not how accounts stand."""
    found: list[Event] = []
    async with AsyncRelayClient(url, key) as client:
        events = client.events(after=after)
        while len(found) < count:
            event = await anext(events)
            found += [event] if event.name != "accounts" else []
        await events.aclose()
    return found


@dataclass
class Stream:
    """An open stream, and its lines."""

    answer: httpx.Response
    lines: AsyncIterator[str]

    async def next(self, beginning: str) -> str:
        """Return the next line that begins so."""
        async for line in self.lines:
            if line.startswith(beginning):
                return line
        raise AssertionError(f"the stream has ended, and had no {beginning}")

    async def accounts(self) -> Any:
        """Return how the accounts stand, as it is told next."""
        await self.next("event: accounts")
        return orjson.loads((await self.next("data:")).removeprefix("data:"))


@asynccontextmanager
async def streaming(url: str, *, key: str = "alice's key", **headers: str) -> AsyncIterator[Stream]:
    async with client_of(url, key) as http, http.stream("GET", "/v1/events", headers=headers) as answer:
        yield Stream(answer, answer.aiter_lines())


async def test_the_whole_life_of_a_registration_is_told_in_order(
    url: str, relay: Relay, receiver: Receiver, upstream: Upstream
) -> None:
    receiver.answer("/gone", 410)
    await upstream.plan("stuck", stuck=True)
    delivered = await wish(relay, "a", receiver.url())
    dead = await wish(relay, "b", receiver.url("/gone"))
    cancelled = await wish(relay, "stuck", URL)
    async with working(relay), client_of(url, "alice's key") as api:
        await api.delete(f"/v1/registrations/{cancelled.id}")
        await wait_until(lambda: all_delivered(relay, [delivered.id]))
        await api.post(f"/v1/registrations/{delivered.id}/redeliver")
        events = await heard(url, 7 + 4 + 2, after="0")

    told: defaultdict[str, list[str]] = defaultdict(list)
    for event in events:
        told[event.data["id"]].append(event.name)
    assert told[delivered.id] == [
        "registered", "final", "attempt", "delivered", "redelivered", "attempt", "delivered",
    ]  # fmt: skip
    assert told[dead.id] == ["registered", "final", "attempt", "dead"]
    assert told[cancelled.id] == ["registered", "cancelled"]
    assert len({event.id for event in events}) == len(events)
    last = next(event for event in events if event.name == "delivered")
    assert last.data == {
        "id": delivered.id, "state": "delivered", "type": "task.succeeded", "account": "default",
        "operation": "lead.update", "request_id": "a", "at": last.data["at"],
    }  # fmt: skip


async def test_a_stream_begins_now_and_tells_what_comes(url: str, relay: Relay) -> None:
    await wish(relay, "before", URL)
    async with streaming(url) as stream:
        await stream.next(": events")
        after = await wish(relay, "after", URL)
        assert await stream.next("event:") == "event: registered"
        assert after.id in await stream.next("data:")

    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    assert stream.answer.headers["cache-control"] == "no-store"


async def test_a_late_registration_for_a_final_task_is_final_at_once(
    url: str, relay: Relay, receiver: Receiver
) -> None:
    first = await wish(relay, "a", receiver.url())
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [first.id]))
    await wish(relay, "a", receiver.url("/late"))

    assert [event.name for event in (await heard(url, 6, after="0"))[4:]] == ["registered", "final"]


async def test_everybody_hears_of_his_own_alone(url: str, relay: Relay) -> None:
    for number in range(3):
        await wish(relay, f"alices-{number}", URL)
        await wish(relay, f"bobs-{number}", URL, client="bob")

    for client in ("alice", "bob"):
        events = await heard(url, 3, after="0", key=f"{client}'s key")
        assert [event.data["request_id"] for event in events] == [f"{client}s-{number}" for number in range(3)]


async def test_the_admin_hears_of_everybodys_in_order_and_whose_each_is(url: str, relay: Relay) -> None:
    for number in range(3):
        await wish(relay, f"alices-{number}", URL)
        await wish(relay, f"bobs-{number}", URL, client='b"ob')

    events = await heard(url, 6, after="0", key=ADMIN_KEY)
    assert [(event.data["client"], event.data["request_id"]) for event in events] == [
        (client, f"{name}-{number}") for number in range(3) for client, name in (("alice", "alices"), ('b"ob', "bobs"))
    ]
    [own] = await heard(url, 1, after="0")
    assert events[0].data == {"client": "alice"} | own.data
    assert "client" not in own.data


async def test_the_admin_resumes_between_clients_and_misses_and_repeats_nothing(url: str, relay: Relay) -> None:
    made = [await wish(relay, f"task-{number}", URL, client=("alice", "bob")[number % 2]) for number in range(150)]
    first = await heard(url, 101, after="0", key=ADMIN_KEY)
    rest = await heard(url, 49, after=first[-1].id, key=ADMIN_KEY)

    assert [event.data["id"] for event in (*first, *rest)] == [one.id for one in made]


async def test_a_key_with_the_admins_scope_hears_of_everybodys(valkey: Valkey) -> None:
    async with served(valkey, api_keys="carol[admin]:carol's key") as (url, relay):
        made = await wish(relay, "bobs", URL, client="bob")
        [event] = await heard(url, 1, after="0", key="carol's key")
    assert (event.data["client"], event.data["id"]) == ("bob", made.id)


async def test_the_admin_is_told_how_the_accounts_stand_once_for_each_change(
    url: str, relay: Relay, valkey: Valkey
) -> None:
    async with streaming(url, key=ADMIN_KEY) as stream, client_of(url, ADMIN_KEY) as api:
        before = await stream.accounts()
        surveys = await calls_of(valkey, "hgetall")
        await wait_until(lambda: has_called(valkey, "hgetall", surveys + 6))  # so it has looked again, and said nothing
        await wish(relay, "a", URL)
        after = await stream.accounts()
        listed = (await api.get("/v1/accounts")).json()

    assert [one["pending"] for one in before["accounts"]] == [0]
    assert [one["pending"] for one in after["accounts"]] == [1]
    assert after == listed


async def calls_of(valkey: Valkey, command: str) -> int:
    found = (await valkey.ask("INFO", "commandstats")).get(f"cmdstat_{command}", {"calls": 0})
    return int(found["calls"])


async def has_called(valkey: Valkey, command: str, count: int) -> bool:
    return await calls_of(valkey, command) >= count


async def test_a_reader_that_comes_back_misses_and_repeats_nothing(url: str, relay: Relay) -> None:
    made = [await wish(relay, f"task-{number}", URL) for number in range(250)]
    first = await heard(url, 101, after="0")
    rest = await heard(url, 149, after=first[-1].id)

    assert [event.data["id"] for event in (*first, *rest)] == [one.id for one in made]


async def test_a_stream_is_resumed_after_a_restart_of_api_and_store(tmp_path: Path) -> None:
    async with valkey_in(tmp_path) as valkey:
        async with served(valkey) as (url, relay):
            await wish(relay, "one", URL)
            [one] = await heard(url, 1, after="0")
            await wish(relay, "two", URL)
        await valkey.kill()
        await valkey.start()
        async with served(valkey) as (url, relay):
            await wish(relay, "three", URL)
            events = await heard(url, 2, after=one.id)

    assert [event.data["request_id"] for event in events] == ["two", "three"]


@asynccontextmanager
async def served(valkey: Valkey, **changes: str) -> AsyncIterator[tuple[str, Relay]]:
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(open_relay(relays.settings(valkey.url, **changes)))
        yield await stack.enter_async_context(serving(create_app(relay), "127.0.0.1", 0)), relay


async def test_an_open_stream_goes_on_when_the_store_is_back(tmp_path: Path) -> None:
    async with valkey_in(tmp_path) as valkey, served(valkey) as (url, relay), streaming(url) as stream:
        await stream.next(": events")
        await valkey.kill()
        await stream.next(": nothing new")  # it is asked again and again, and the reader kept
        await valkey.start()
        await wish(relay, "a", URL)
        assert await stream.next("event:") == "event: registered"


async def test_what_is_kept_no_more_is_said_to_be_a_gap(url: str, relay: Relay, valkey: Valkey) -> None:
    await wish(relay, "a", URL)
    [first] = await heard(url, 1, after="0")
    last = await wish(relay, "b", URL)
    await valkey.ask("XTRIM", keys.events("alice"), "MAXLEN", 1)
    async with streaming(url, **{"last-event-id": first.id}) as stream:
        assert await stream.next("event:") == "event: gap"
        assert first.id in await stream.next("data:")
        assert last.id in await stream.next("data:")


@pytest.mark.parametrize("id_", ["x", "1-", "-1", "99999999999999999999", "1-2-3", "1.0"])
async def test_a_wrong_id_is_named(url: str, id_: str) -> None:
    async with client_of(url, "alice's key") as api:
        answer = await api.get("/v1/events", headers={b"last-event-id": id_.encode()})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/Last-Event-ID")


async def test_the_stream_has_no_parameters_and_no_body_for_head(url: str) -> None:
    async with client_of(url, "alice's key") as api:
        assert (await api.get("/v1/events?after=1")).status_code == 422
        assert (await api.head("/v1/events")).status_code == 200


async def test_a_client_has_so_many_streams_and_no_more(url: str) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MAX_STREAMS):
            await stack.enter_async_context(streaming(url))
        async with client_of(url, "alice's key") as api, client_of(url, "bob's key") as bob:
            refused = await api.get("/v1/events")
            bobs = await stack.enter_async_context(bob.stream("GET", "/v1/events"))

    assert (refused.status_code, refused.json()["code"], bobs.status_code) == (429, "quota_exceeded", 200)
    await wait_until(lambda: opens(url))


async def opens(url: str) -> bool:
    async with streaming(url) as stream:
        return stream.answer.status_code == 200


async def test_a_process_that_ends_ends_its_streams(relay: Relay) -> None:
    async with AsyncExitStack() as stack:
        async with serving(create_app(relay), "127.0.0.1", 0) as url:
            streams = [await stack.enter_async_context(streaming(url)) for _ in range(3)]
        ends = [[line async for line in stream.lines] for stream in streams]

    assert ends == [[": events", ""]] * 3


async def test_a_reader_that_does_not_read_holds_up_nobody(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(b"GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alice's key\r\nlast-event-id: 0\r\n\r\n")
    many = [{"request_id": f"task-{number}", "callback_url": URL} for number in range(1_000)]
    async with client_of(url, "alice's key") as api:
        results = await api.post("/v1/registrations/batch", json={"registrations": many}, timeout=50)
    events = await heard(url, 1_000, after="0")
    writer.close()
    del reader

    assert Counter(event.name for event in events) == {"registered": 1_000}
    assert results.status_code == 200
