"""The Python client against a served relay, awaited and not."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.client import AsyncRelayClient, ProblemError, RelayClient
from relay.context import Relay
from tests.support.receiver import Receiver

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
    assert [error["pointer"] for error in caught.value.errors] == ["/deadline_s"]


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
