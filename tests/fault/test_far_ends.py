"""The upstream and the receiver, sick in every way, and the lines to them."""

import asyncio
import time
from pathlib import Path

import pytest

from relay.domain.admission import Limits
from tests.fault.conftest import Stage, Tell
from tests.support.clock import wait_until
from tests.support.history.upstream import Mood
from tests.support.preload import Clock
from tests.support.scene import CALLS, WINDOW_S

SICK = [mood for mood in Mood if mood is not Mood.WELL]
HEALED_S = 10.0
FULL_WINDOWS = 4
LONGEST_REST_S = 86_400.0  # between two attempts of the contract's


@pytest.mark.timeout(3_600)
async def test_the_upstream_is_sick_in_every_way(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        played.upstream.longest_s = 4.0
        for _ in rounds:
            for mood in played.dice.sample(SICK, len(SICK)):
                loading = asyncio.create_task(played.load(12, over_s=3.0))
                await asyncio.sleep(0.5)
                played.upstream.mood = mood
                await asyncio.sleep(2.0)
                played.upstream.mood = Mood.WELL
                await played.goes_on(within_s=HEALED_S)
                await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated == 0


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_the_line_to_the_upstream_fails(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        for _ in rounds:
            for fail in (played.to_upstream.cut, played.to_upstream.black_hole):
                loading = asyncio.create_task(played.load(12, over_s=3.0))
                await asyncio.sleep(0.5)
                fail()
                await asyncio.sleep(played.dice.uniform(1.0, 3.0))
                played.to_upstream.mend()
                await played.goes_on(within_s=HEALED_S)
                await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated == 0


@pytest.mark.timeout(3_600)
async def test_after_an_outage_the_backlog_drains_at_the_limit_without_a_burst(
    stage: Stage, rounds: range, told: Tell
) -> None:
    async with stage() as played:
        for _ in rounds:
            played.upstream.mood = Mood.DOWN
            await played.load(200, over_s=2.0)
            played.upstream.mood = Mood.WELL
            await played.goes_on(within_s=HEALED_S)
            started, due = time.monotonic(), played.upstream.arrivals + FULL_WINDOWS * CALLS
            await wait_until(lambda: played.upstream.arrivals >= due, within_s=60)  # noqa: B023 - awaited here
            assert time.monotonic() - started <= FULL_WINDOWS * WINDOW_S + played.slack_s
            await wait_until(lambda: played.client.wanted <= played.receiver.taken, within_s=120)
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated == 0


@pytest.mark.timeout(3_600)
async def test_the_receiver_refuses_and_its_line_fails(stage: Stage, rounds: range, told: Tell, tmp_path: Path) -> None:
    clock = Clock(tmp_path, "store")
    async with stage(valkey_environment=clock.environment) as played:
        for _ in rounds:
            played.receiver.status = lambda: played.dice.choice([200, 200, 500, 503, 404])
            loading = asyncio.create_task(played.load(20, over_s=3.0))
            await asyncio.sleep(1.0)
            played.to_receiver.cut()
            await asyncio.sleep(played.dice.uniform(0.5, 1.5))
            played.to_receiver.mend()
            await loading
            await asyncio.sleep(1.5)
            played.receiver.status = lambda: 200
        clock.jump(LONGEST_REST_S)
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    # An answer that the line was cut under is not known, nor what was under way when the clock jumped: asked for again.
    assert verdict.duplicated <= len(rounds) + Limits().host
