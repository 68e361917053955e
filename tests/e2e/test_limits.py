"""A limit that the operator changes under full load: once that is acknowledged, no window upstream is over it."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.support.clock import wait_until
from tests.support.stand import ADMIN_KEY, Process, Stand, stand

TASKS = 40
FIRST = "40/1"


@dataclass
class Site:
    """A stand with tasks enough for any limit, none of which ever ends."""

    stand: Stand
    api: Process

    async def arrived_at(self, *, since: float = 0.0) -> list[float]:
        """Return when calls arrived at the upstream, on this machine's monotonic clock."""
        report = (await self.stand.http.get(f"{self.stand.sandbox.url}/sandbox/report?arrivals=1")).json()
        seen = report["accounts"].get("default", {"arrived_at": []})["arrived_at"]
        return [at for at in seen if at >= since]

    async def some_arrived(self, count: int, *, since: float) -> bool:
        return len(await self.arrived_at(since=since)) >= count

    async def limit(self, text: str) -> float:
        """Have the operator change the limit, and return when that was acknowledged."""
        changed = await self.stand.http.put(
            f"{self.api.url}/v1/accounts/default",
            json={"upstream_api_key": "default", "limit": text},
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
        )
        changed.raise_for_status()
        return time.monotonic()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with stand("--limit", "1000/1", RELAY_UPSTREAM_LIMIT=FIRST) as made:
        site = Site(made, await made.start("api"))
        for number in range(TASKS):
            planned = await made.http.put(f"{made.sandbox.url}/sandbox/tasks/t{number}", json={"stuck": True})
            planned.raise_for_status()
            await made.register(site.api, request_id=f"t{number}", callback_url="http://127.0.0.1:9/")
        yield site


def worst(arrived_at: list[float], window_s: float) -> int:
    """Return the most calls that arrived in any window."""
    return max(
        (sum(first <= at < first + window_s for at in arrived_at[place:]) for place, first in enumerate(arrived_at)),
        default=0,
    )


@pytest.mark.timeout(120)
async def test_from_the_acknowledgement_on_every_window_that_begins_obeys_the_new_limit(site: Site) -> None:
    for _ in range(2):
        await site.stand.start("worker")
    began_at = time.monotonic()
    await wait_until(lambda: site.some_arrived(60, since=began_at))
    over = []
    for calls, window_s in ((5, 1), (40, 1), (8, 2), (30, 1)):
        acknowledged_at = await site.limit(f"{calls}/{window_s}")
        await wait_until(partial(site.some_arrived, 2 * calls + 1, since=acknowledged_at))
        found = worst(await site.arrived_at(since=acknowledged_at), window_s)
        over += [f"{found} of {calls}/{window_s}"] if found > calls else []

    assert over == []


@pytest.mark.timeout(120)
async def test_a_worker_that_cannot_hear_of_it_is_waited_for_and_polls_by_it_when_it_is_back(site: Site) -> None:
    worker = await site.stand.start("worker")
    began_at = time.monotonic()
    await wait_until(lambda: site.some_arrived(60, since=began_at))
    os.kill(worker.child.pid, signal.SIGSTOP)
    asked_at = time.monotonic()
    try:
        acknowledged_at = await site.limit("5/1")
    finally:
        os.kill(worker.child.pid, signal.SIGCONT)
    await wait_until(lambda: site.some_arrived(12, since=acknowledged_at))

    assert acknowledged_at - asked_at > 1  # what it had been granted was good for longer than that
    assert worst(await site.arrived_at(since=acknowledged_at), 1.0) <= 5


@pytest.mark.timeout(120)
async def test_with_nobody_who_polls_a_change_is_acknowledged_at_once(site: Site) -> None:
    async with asyncio.timeout(1):
        await site.limit("5/1")
