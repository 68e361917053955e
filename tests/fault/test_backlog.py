"""What has piled up: a hundred thousand due after an outage, all of one client, while another goes on as ever."""

import asyncio

import pytest

from tests.fault.conftest import ROUNDS, Stage, Tell
from tests.support.clock import wait_until
from tests.support.history.checker import Law
from tests.support.history.journal import Event
from tests.support.scene import WINDOW_S, Scene

LONG = ROUNDS >= 10
BACKLOG = 100_000 if LONG else 1_500
CALLS = 400 if LONG else 100  # a second: about what the recorders, all of them in this process, keep up with
BATCH = 1_000
FEW = 15
LAW = Law(CALLS, WINDOW_S, duplicates=0)


@pytest.mark.timeout(3_600)
async def test_a_backlog_of_one_client_drains_at_the_limit_and_holds_up_no_other(stage: Stage, told: Tell) -> None:
    async with stage(workers=0, RELAY_UPSTREAM_LIMIT=f"{CALLS}/{WINDOW_S:g}") as played:
        played.upstream.calls, played.upstream.longest_s = CALLS, 0.0
        alice, bob = played.client.parties
        for first in range(0, BACKLOG, BATCH):
            names = [f"backlog-{number}" for number in range(first, min(first + BATCH, BACKLOG))]
            await played.client.register_many(alice, names)
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


def _callbacks(played: Scene) -> list[Event]:
    return [event for event in played.events() if event["event"] == "callback"]
