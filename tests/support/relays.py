"""Relays as tests want them: settings with made secrets, the sandbox and its control, workers in this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from relay import metrics
from relay.context import Relay
from relay.domain.draft import Draft
from relay.domain.registration import Registration, RegistrationState
from relay.services.register import register
from relay.settings import Settings
from relay.worker import Worker

SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENCRYPTION_KEY = "cmVsYXktdGVzdHMtb25seS0zMi1ieXRlcy1sb25nISE="
ADMIN_KEY = "the admin's key"
UPSTREAM_KEY = "the default account's upstream key"


def settings(redis_url: str, **changes: Any) -> Settings:
    """Return settings with a quick limit; clients are alice and bob, whose keys are `<name>'s key`."""
    made = {
        "redis_url": redis_url,
        "upstream_url": "http://127.0.0.1:9",  # nobody answers there
        "upstream_api_key": UPSTREAM_KEY,
        "upstream_limit": "50/1",
        "api_keys": "alice:alice's key,bob:bob's key",
        "admin_key": ADMIN_KEY,
        "signing_secret": SIGNING_SECRET,
        "encryption_keys": ENCRYPTION_KEY,
        "callback_allow": "127.0.0.0/8",
    }
    return Settings.model_validate(made | changes)


@dataclass(frozen=True)
class Upstream:
    """A served sandbox, and its control API."""

    url: str
    http: httpx.AsyncClient

    async def behave(self, **changes: Any) -> None:
        """Change these fields of the sandbox's behaviour."""
        changed = await self.http.put("/sandbox/behaviour", json=changes)
        assert changed.status_code == 200, changed.text

    async def plan(self, request_id: str, **plan: Any) -> None:
        """Make a task that does as `plan` says, from now on."""
        planned = await self.http.put(f"/sandbox/tasks/{request_id}", json=plan)
        assert planned.status_code == 200, planned.text

    async def account(self, key: str = UPSTREAM_KEY) -> Any:
        """Return the sandbox's report on one API key; zeros before its first call."""
        report = (await self.http.get("/sandbox/report?arrivals=1")).json()
        return report["accounts"].get(key, {"arrivals": 0, "arrived_at": [], "refused": {}, "worst_window": 0})

    async def report(self) -> Any:
        return (await self.http.get("/sandbox/report")).json()


def draft(request_id: str, callback_url: str, **fields: Any) -> Draft:
    return Draft.parse({"request_id": request_id, "callback_url": callback_url} | fields)


async def wish(
    relay: Relay, request_id: str, callback_url: str, *, client: str = "alice", **fields: Any
) -> Registration:
    """Register as `client` does, and return the registration, which is a millisecond newer than the last one."""
    await asyncio.sleep(0.001)
    registration, _ = await register(relay, client, draft(request_id, callback_url, **fields), now=time.time())
    return registration


@asynccontextmanager
async def working(relay: Relay) -> AsyncIterator[Worker]:
    """Run a worker in this event loop while the block does; at its end it has handed back its lanes."""
    worker, stop = Worker(relay), asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await running


async def states(relay: Relay, ids: Iterable[str]) -> set[RegistrationState]:
    """Return the states that these registrations are in."""
    return {registration.state for registration in await relay.store.registrations(tuple(ids))}


async def all_delivered(relay: Relay, ids: Iterable[str]) -> bool:
    return await states(relay, ids) == {RegistrationState.DELIVERED}


def client_of(url: str, key: str) -> httpx.AsyncClient:
    """Return a client of the API at `url` that shows this key."""
    return httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, trust_env=False)


def counted(name: str, **labels: str) -> float:
    """Return what this process's metric says now."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0
