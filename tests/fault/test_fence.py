"""A worker frozen over an attempt: what it writes when it is thawed is refused, and without the fence it is not."""

from pathlib import Path

import httpx
import pytest

from tests.fault.conftest import Stage, Tell
from tests.support.clock import wait_until
from tests.support.history.checker import Law
from tests.support.preload import Clock
from tests.support.sabotage import unfenced
from tests.support.scene import CALLS, WINDOW_S, Scene
from tests.support.stand import Process

CLAIM_S = 30.0  # longer than any lease or claim
ONCE = Law(CALLS, WINDOW_S, duplicates=0)


async def _freeze_over_an_attempt(played: Scene, store_clock: Clock, frozen: Process) -> None:
    """Let one worker's attempt fail while it is frozen, another's succeed, and thaw the first."""
    played.receiver.status, played.receiver.delay_s = lambda: 500, 3.0
    answered = played.receiver.calls
    await played.load(1, over_s=0.0)
    await wait_until(lambda: played.receiver.calls > answered)
    played.freeze(frozen)
    await wait_until(lambda: played.receiver.answered == played.receiver.calls)
    played.receiver.status, played.receiver.delay_s = lambda: 200, 0.0
    await played.start_worker()
    store_clock.jump(CLAIM_S)
    await played.goes_on(within_s=20)
    await wait_until(played.client.all_settled)
    played.thaw(frozen)


@pytest.mark.timeout(3_600)
async def test_a_worker_frozen_over_an_attempt_writes_nothing(stage: Stage, told: Tell, tmp_path: Path) -> None:
    clock = Clock(tmp_path, "store")
    async with stage(workers=0, valkey_environment=clock.environment) as played, httpx.AsyncClient() as http:
        frozen = await played.start_worker()
        await _freeze_over_an_attempt(played, clock, frozen)

        async def refused() -> bool:
            return "relay_fenced_commits_total 0.0" not in (await http.get(f"{frozen.url}/metrics")).text

        await wait_until(refused)
        verdict = told(played, await played.judge(ONCE), 1)

    assert verdict.valid


@pytest.mark.timeout(3_600)
async def test_control_the_fence_is_off(stage: Stage, told: Tell, tmp_path: Path) -> None:
    clock = Clock(tmp_path, "store")
    launcher, settings = unfenced(tmp_path)
    async with stage(workers=0, valkey_environment=clock.environment) as played:
        frozen = await played.start_worker(*launcher, **settings)
        await _freeze_over_an_attempt(played, clock, frozen)
        await wait_until(lambda: _called_back_again(played))
        verdict = told(played, await played.judge(ONCE), 1)

    assert {name for name, found in verdict.offenders.items() if found} == {"unsettled", "too often"}


async def _called_back_again(played: Scene) -> bool:
    """Look at the states meanwhile, as the history is to know them."""
    await played.client.note_states()
    return played.receiver.calls > 2
