"""What has piled up: a hundred thousand due after an outage, while others, and what is new, go on as ever."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import cycle
from statistics import median

import httpx
import pytest

from relay.domain.admission import Limits
from tests.fault.conftest import ROUNDS, Stage, Tell
from tests.support.clock import wait_until
from tests.support.history.checker import Law
from tests.support.history.client import Party
from tests.support.history.journal import Event
from tests.support.scene import WINDOW_S, Scene
from tests.support.scrape import scrape

LONG = ROUNDS >= 10
BACKLOG = 100_000 if LONG else 1_500
CALLS = 250 if LONG else 100  # a second: about what the recorders, all of them in this process, keep up with
FIRST = 10 * CALLS
BATCH = FIRST // 8
FEW = 15
HOSTS = 8 if LONG else 1  # eight have all the room of one client
SERVED_S = 0.01
LAW = Law(CALLS, WINDOW_S, duplicates=0)


@pytest.mark.timeout(3_600)
async def test_a_backlog_of_one_client_drains_at_the_limit_and_holds_up_no_other(stage: Stage, told: Tell) -> None:
    async with stage(workers=0, RELAY_UPSTREAM_LIMIT=f"{CALLS}/{WINDOW_S:g}") as played:
        played.upstream.calls, played.upstream.longest_s = CALLS, 0.0
        alice, bob = played.client.parties
        await _pile_up(played, alice)
        await asyncio.gather(played.start_worker(), played.start_worker())
        await wait_until(lambda: played.receiver.taken, within_s=60)
        await played.client.register_many(bob, [f"meanwhile-{number}" for number in range(FEW)])
        await wait_until(lambda: len(played.receiver.taken) >= BACKLOG + FEW, within_s=1_800)
        await wait_until(played.client.note_lists, within_s=60)
        verdict = told(played, played.verdict(LAW), 1)

    assert verdict.valid
    assert verdict.delivered == BACKLOG + FEW
    owners = [event["client"] for event in _callbacks(played)]
    ahead_of_bob = owners[: len(owners) - owners[::-1].index(bob.name)].count(alice.name)
    assert ahead_of_bob < BACKLOG * 3 / 4
    assert _calls_a_window(played) >= 0.8 * CALLS


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_what_is_due_after_an_outage_drains_from_both_ends_without_a_burst(stage: Stage, told: Tell) -> None:
    async with stage(RELAY_UPSTREAM_LIMIT=f"{CALLS}/{WINDOW_S:g}") as played, _at_many_addresses(played) as addresses:
        played.upstream.calls, played.upstream.longest_s = CALLS, 0.0
        played.receiver.delay_s = SERVED_S
        played.to_receiver.cut()
        await _pile_up(played, *addresses, name="first", count=FIRST)
        await wait_until(lambda: _circuits_are_open(played), within_s=60)  # from now on few are tried
        await _pile_up(played, *addresses)
        await wait_until(lambda: played.upstream.arrivals >= FIRST + BACKLOG, within_s=1_800)
        played.to_receiver.mend()
        await wait_until(lambda: played.receiver.taken, within_s=60)
        await played.client.register_many(addresses[0], [f"newest-{number}" for number in range(FEW)])
        await wait_until(lambda: len(played.receiver.taken) >= FIRST + BACKLOG + FEW, within_s=1_800)
        await wait_until(played.client.note_lists, within_s=60)
        verdict = told(played, played.verdict(LAW), 1)

    assert verdict.valid
    assert verdict.delivered == FIRST + BACKLOG + FEW
    assert _calls_a_window(played) >= 0.8 * CALLS
    assert 0 < played.receiver.most_under_way <= min(Limits().client, HOSTS * Limits().host)
    served = {event["request_id"]: place for place, event in enumerate(_callbacks(played))}
    waited = [*(f"first-{number}" for number in range(FIRST)), *(f"backlog-{number}" for number in range(BACKLOG))]
    third = len(waited) // 3
    oldest, middle, newest = (median(served[name] for name in waited[part * third :][:third]) for part in range(3))
    assert max(oldest, newest, *(served[f"newest-{number}"] for number in range(FEW))) < middle


async def _circuits_are_open(played: Scene) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        told = await scrape(http, [worker.url for worker in played.workers])
    return told.total("relay_circuits_open") == HOSTS


@asynccontextmanager
async def _at_many_addresses(played: Scene) -> AsyncIterator[list[Party]]:
    """Let the receiver be reached at eight addresses; give the first client with a callback URL at each."""
    alice, proxy = played.client.parties[0], played.to_receiver
    addresses = [f"127.0.0.{number}" for number in range(1, HOSTS + 1)]
    async with await asyncio.start_server(proxy.accept, addresses[1:], proxy.port, backlog=1_024):
        yield [replace(alice, callback_url=alice.callback_url.replace("127.0.0.1", one)) for one in addresses]


async def _pile_up(played: Scene, *parties: Party, name: str = "backlog", count: int = BACKLOG) -> None:
    """Register so many, by turns for each of these."""
    for first, party in zip(range(0, count, BATCH), cycle(parties), strict=False):
        names = [f"{name}-{number}" for number in range(first, min(first + BATCH, count))]
        await played.client.register_many(party, names)


def _callbacks(played: Scene) -> list[Event]:
    return [event for event in played.events() if event["event"] == "callback"]


def _calls_a_window(played: Scene) -> float:
    """Return how many polls arrived in most windows between the first and the last."""
    arrivals = [event["at"] for event in played.events() if event["event"] == "arrival"]
    windows = Counter(int((at - arrivals[0]) / WINDOW_S) for at in arrivals)
    return median(windows[number] for number in range(max(windows)))
