"""What integration tests stand on: a real Valkey for the whole run, a sandbox upstream, a receiver and a relay."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from relay.context import Relay, open_relay
from relay.sandbox.app import create_app
from relay.sandbox.behaviour import Behaviour
from relay.sandbox.server import serving
from relay.settings import Settings
from relay.store.dialing import connection_pool
from relay.store.store import Store
from tests.support import relays
from tests.support.keys_left import complaints
from tests.support.receiver import Receiver, receiving
from tests.support.relays import Upstream
from tests.support.valkey import Valkey, valkey_in


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Valkey]:
    """Run one Valkey for all tests, configured as the relay's own."""
    async with valkey_in(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


@pytest.fixture
async def valkey(server: Valkey) -> AsyncIterator[Valkey]:
    """Give the empty store; after the test nothing in it may be forgotten."""
    await server.ask("FLUSHALL")
    yield server
    await assert_nothing_forgotten(server)


async def assert_nothing_forgotten(valkey: Valkey) -> None:
    async with Redis.from_url(valkey.url) as redis:
        assert await complaints(redis) == []


@pytest.fixture
async def store(valkey: Valkey) -> AsyncIterator[Store]:
    """Connect to the empty store; no upstream, no worker."""
    async with aclosing(Store(connection_pool(valkey.url))) as store:
        yield store


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """Serve a sandbox that holds callers to 50 calls a second and ends tasks after 0.1 s."""
    behaviour = Behaviour.model_validate({"limit": "50/1", "durations": "fixed:0.1"})
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(create_app(behaviour)))
        yield Upstream(url, await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False)))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def settings(valkey: Valkey, upstream: Upstream) -> Settings:
    return relays.settings(valkey.url, upstream_url=upstream.url)


@pytest.fixture
async def relay(settings: Settings) -> AsyncIterator[Relay]:
    """Open a relay on the store and the sandbox; no worker runs until a test starts one."""
    async with open_relay(settings) as relay:
        yield relay
