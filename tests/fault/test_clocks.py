"""Clocks that jump by an hour and by a day, either way: the store's, the API's, the workers', and all at once."""

import asyncio
from pathlib import Path

import pytest

from tests.fault.conftest import Stage, Tell
from tests.support.preload import Clock

HOUR_S, DAY_S = 3_600.0, 86_400.0
JUMPS_S = (HOUR_S, -HOUR_S, DAY_S, -DAY_S)
PARTS = ("store", "api", "workers")


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("whose", [*PARTS, "every part"])
async def test_the_clock_jumps_of(stage: Stage, rounds: range, told: Tell, tmp_path: Path, whose: str) -> None:
    clocks = {part: Clock(tmp_path, part) for part in PARTS}
    jumping = list(clocks.values()) if whose == "every part" else [clocks[whose]]
    async with stage(workers=0, valkey_environment=clocks["store"].environment, **clocks["api"].environment) as played:
        await asyncio.gather(*(played.start_worker(**clocks["workers"].environment) for _ in range(2)))
        for _ in rounds:
            for ahead_s in played.dice.sample(JUMPS_S, len(JUMPS_S)):
                loading = asyncio.create_task(played.load(12, over_s=2.5))
                await asyncio.sleep(played.dice.uniform(0.5, 2.0))
                for clock in jumping:
                    clock.jump(ahead_s)
                await played.goes_on(within_s=20)
                await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated == 0
