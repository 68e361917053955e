"""The Python client against a served relay, awaited and not."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.client import AsyncRelayClient, ProblemError, RelayClient
from relay.context import Relay
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import Upstream, working

ALICE = "alice's key"


@pytest.fixture
async def url(relay: Relay) -> AsyncIterator[str]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url:
        yield url


async def test_a_wish_is_registered_once_however_often_it_is_made(url: str, receiver: Receiver) -> None:
    async with AsyncRelayClient(url, ALICE) as client:
        first = await client.register("1", receiver.url(), metadata={"order": 7})
        again = await client.register("1", receiver.url(), metadata={"order": 7})
        assert again["id"] == first["id"]
        assert (await client.get(first["id"]))["metadata"] == {"order": 7}


async def test_a_refusal_names_what_is_wrong(url: str) -> None:
    async with AsyncRelayClient(url, ALICE) as client:
        with pytest.raises(ProblemError) as caught:
            await client.register("1", "http://169.254.169.254/", deadline_s=-1)
    assert caught.value.code == "invalid_request"
    assert [error["pointer"] for error in caught.value.errors] == ["/deadline_s", "/callback_url"]


async def test_a_wrong_key_is_refused(url: str) -> None:
    async with AsyncRelayClient(url, "nobody's key") as client:
        with pytest.raises(ProblemError, match="unauthorized"):
            await client.get("reg_1")


async def test_the_blocking_client_says_the_same(url: str, receiver: Receiver) -> None:
    def register() -> tuple[str, str]:
        with RelayClient(url, ALICE) as client:
            made = client.register("1", receiver.url())
            return made["id"], client.get(made["id"])["state"]

    id_, state = await asyncio.to_thread(register)
    assert id_.startswith("reg_")
    assert state == "pending"


async def test_waiting_ends_with_the_task_and_events_tell_the_way(
    url: str, relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(durations="fixed:0.3")
    async with AsyncRelayClient(url, ALICE) as client, working(relay):
        events = client.events(after="0")
        made = await client.register("1", receiver.url())
        ended = await client.wait(made["id"], timeout_s=30)
        assert ended["state"] in {"delivering", "delivered"}
        assert ended["task"]["status"]["Status"]
        told = [await anext(events) for _ in range(4)]
        await events.aclose()
    assert [event.name for event in told] == ["registered", "final", "attempt", "delivered"]
    assert {event.data["id"] for event in told} == {made["id"]}


async def test_a_stream_goes_on_where_it_was_left(url: str, relay: Relay, receiver: Receiver) -> None:
    async with AsyncRelayClient(url, ALICE) as client, working(relay):
        first = await client.register("1", receiver.url())
        events = client.events(after="0")
        seen = await anext(events)
        await events.aclose()
        await client.wait(first["id"], timeout_s=30)
        events = client.events(after=seen.id)
        resumed = await anext(events)
        await events.aclose()
    assert (seen.name, resumed.name) == ("registered", "final")


async def test_waiting_without_end_gives_the_registration_as_it_stands(url: str, receiver: Receiver) -> None:
    async with AsyncRelayClient(url, ALICE) as client:
        made = await client.register("1", receiver.url())
        assert (await client.wait(made["id"], timeout_s=0.2))["state"] == "pending"


async def test_cancelling_is_done_once_and_may_be_said_twice(url: str, receiver: Receiver) -> None:
    async with AsyncRelayClient(url, ALICE) as client:
        made = await client.register("1", receiver.url())
        await client.cancel(made["id"])
        await client.cancel(made["id"])
        assert (await client.get(made["id"]))["state"] == "cancelled"
        with pytest.raises(ProblemError, match="409"):
            await client.redeliver(made["id"])


async def test_the_blocking_client_streams_and_redelivers_too(url: str, relay: Relay, receiver: Receiver) -> None:
    def walk() -> tuple[list[str], str]:
        with RelayClient(url, ALICE) as client:
            made = client.register("1", receiver.url())
            names = []
            for event in client.events(after="0"):
                names.append(event.name)
                if event.name == "delivered":
                    break
            return names, client.redeliver(made["id"])["state"]

    async with working(relay):
        names, state = await asyncio.to_thread(walk)
        await wait_until(lambda: len(receiver.requests) == 2)
    assert names == ["registered", "final", "attempt", "delivered"]
    assert state == "delivering"
