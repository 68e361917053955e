"""`GET /v1/overview` and `relay status`: how a relay stands, as its client and as its operator see it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay
from tests.support.clock import wait_until
from tests.support.commands import Ended, ended
from tests.support.receiver import Receiver
from tests.support.relays import ADMIN_KEY, all_delivered, wish, working

ALICE, BOB = "alice's key", "bob's key"


@pytest.fixture
async def url(relay: Relay) -> AsyncIterator[str]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url:
        yield url


async def overview(url: str, key: str) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        answer = await http.get("/v1/overview", headers={"authorization": f"Bearer {key}"})
    document: dict[str, object] = answer.json()
    return document


async def run_status(url: str, key: str, *options: str) -> Ended:
    return await asyncio.to_thread(ended, "status", "--url", url, "--key", key, *options)


async def test_a_client_counts_its_own_and_the_admin_everybodys(url: str, relay: Relay, receiver: Receiver) -> None:
    done = await wish(relay, "1", receiver.url())
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [done.id]))
    await wish(relay, "2", receiver.url())
    await wish(relay, "3", receiver.url(), client="bob")

    none = {"pending": 0, "delivering": 0, "delivered": 0, "dead": 0, "cancelled": 0}
    assert await overview(url, ALICE) == {
        "client": "alice",
        "scopes": ["read", "register"],
        "registrations": none | {"pending": 1, "delivered": 1},
    }
    assert (await overview(url, BOB))["registrations"] == none | {"pending": 1}
    assert await overview(url, ADMIN_KEY) == {
        "client": None,
        "scopes": ["admin", "read", "register"],
        "registrations": none | {"pending": 2, "delivered": 1},
    }


async def test_status_tells_the_operator_of_readiness_counts_and_accounts(url: str, relay: Relay) -> None:
    await wish(relay, "1", "https://receiver.example.com/")
    told = await run_status(url, ADMIN_KEY)
    assert told.code == 0, told.err
    lines = [line.split() for line in told.out.splitlines()]
    assert ["client", "everybody"] in lines
    assert ["pending", "1"] in lines
    assert ["account", "default", "50/1", "1", "pending"] in lines
    assert lines[0][:3] == ["relay", url, "ready"]


async def test_status_tells_a_client_of_its_own_alone(url: str, relay: Relay) -> None:
    await wish(relay, "1", "https://receiver.example.com/")
    told = await run_status(url, BOB, "--json")
    assert told.code == 0, told.err
    assert (told.json["client"], told.json["accounts"]) == ("bob", None)
    assert told.json["registrations"]["pending"] == 0
    assert told.json["readiness"]["status"] == "ready"
