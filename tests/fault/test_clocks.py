"""Clocks that jump by an hour and by a day, either way: the store's, the API's, the workers', and all at once."""

import asyncio
from pathlib import Path

import pytest

from relay.domain.admission import Limits
from relay.store import keys
from tests.fault.conftest import Stage, Tell
from tests.support.clock import wait_until
from tests.support.history.upstream import Mood
from tests.support.preload import Clock
from tests.support.scene import Scene

HOUR_S, DAY_S = 3_600.0, 86_400.0
FAR_S = 30 * DAY_S  # a deadline is judged by another clock than it was set by
JUMPS_S = (HOUR_S, -HOUR_S, DAY_S, -DAY_S)
PARTS = ("store", "api", "workers")


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("whose", [*(pytest.param(part, marks=pytest.mark.long) for part in PARTS), "every part"])
async def test_the_clock_jumps_of(stage: Stage, rounds: range, told: Tell, tmp_path: Path, whose: str) -> None:
    clocks = {part: Clock(tmp_path, part) for part in PARTS}
    jumping = list(clocks.values()) if whose == "every part" else [clocks[whose]]
    async with stage(workers=0, valkey_environment=clocks["store"].environment, **clocks["api"].environment) as played:
        await asyncio.gather(*(played.start_worker(**clocks["workers"].environment) for _ in range(2)))
        for _ in rounds:
            for ahead_s in played.dice.sample(JUMPS_S, len(JUMPS_S)):
                loading = asyncio.create_task(played.load(10, over_s=2.5, deadline_s=FAR_S))
                await asyncio.sleep(played.dice.uniform(0.5, 2.0))
                for clock in jumping:
                    clock.jump(ahead_s)
                await asyncio.gather(loading, played.goes_on(within_s=20), played.load(2, over_s=0.5, deadline_s=FAR_S))
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated == 0


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    "ahead_s", [pytest.param(-DAY_S, id="a day back"), pytest.param(DAY_S, id="a day on", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("whose", [*PARTS, "every part"])
async def test_the_clock_jumps_while_everything_waits_of(
    stage: Stage, rounds: range, told: Tell, tmp_path: Path, whose: str, ahead_s: float
) -> None:
    clocks = {part: Clock(tmp_path, part) for part in PARTS}
    async with stage(workers=0, valkey_environment=clocks["store"].environment, **clocks["api"].environment) as played:
        await asyncio.gather(*(played.start_worker(**clocks["workers"].environment) for _ in range(2)))
        for jump in range(len(rounds)):
            await _let_everything_wait(played)
            await played.kill(played.workers[0])
            for part in PARTS:
                if whose in {part, "every part"}:
                    clocks[part].jump(ahead_s * (jump + 1))
            played.upstream.mood, played.receiver.status = Mood.WELL, lambda: 200
            await asyncio.gather(
                played.goes_on(within_s=20),
                played.load(10, over_s=2.0, deadline_s=FAR_S),
                played.start_worker(**clocks["workers"].environment),
            )
        clocks["store"].jump((len(rounds) + 2) * DAY_S)  # over every rest before another attempt
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated <= Limits().host  # what was under way at the last jump


async def _let_everything_wait(played: Scene) -> None:
    """Leave callbacks that failed once, and a sick upstream that is left alone for a while."""
    played.receiver.status = lambda: 500
    refused = played.receiver.calls
    await played.load(8, over_s=0.5, deadline_s=FAR_S)
    await wait_until(lambda: played.receiver.calls >= refused + 8)
    played.upstream.mood = Mood.FAILING
    arrived = played.upstream.arrivals
    await played.load(8, over_s=0.5, deadline_s=FAR_S)
    await wait_until(lambda: played.upstream.arrivals > arrived + 4)


@pytest.mark.timeout(600)
async def test_what_a_worker_with_a_fast_clock_put_into_the_queue_waits_for_no_clock(
    stage: Stage, told: Tell, tmp_path: Path
) -> None:
    clock = Clock(tmp_path, "workers")
    clock.jump(HOUR_S)
    async with stage(workers=0) as played:
        await played.valkey.ask("ACL", "SETUSER", "default", "-zrangebyscore")  # arq puts in, and takes nothing out
        fast = await played.start_worker(**clock.environment)
        await played.load(6, over_s=0.5)
        await wait_until(lambda: played.valkey.ask("EXISTS", keys.QUEUE))
        await played.kill(fast)
        await played.valkey.ask("ACL", "SETUSER", "default", "+zrangebyscore")
        await asyncio.gather(played.start_worker(), played.goes_on(within_s=20))
        verdict = told(played, await played.judge(), 1)

    assert verdict.valid
