"""Kill -9, SIGTERM and SIGSTOP of the relay's own processes, at random moments and under load."""

import asyncio
import signal
import time

import pytest

from tests.fault.conftest import Stage, Tell
from tests.support.scene import Scene

LEASE_S = 5.0
IN_FLIGHT = 128  # attempts that one delivery lane may have under way when its holder dies


@pytest.mark.timeout(3_600)
async def test_the_api_is_killed(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        for _ in rounds:
            loading = asyncio.create_task(played.load(15, over_s=3.0))
            await asyncio.sleep(played.dice.uniform(0.2, 2.5))
            await _replace_api(played)
            await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated == 0
    assert verdict.acknowledged == 15 * len(rounds)


async def _replace_api(played: Scene) -> None:
    doomed = played.apis[-1]
    doomed.child.kill()
    await doomed.child.wait()
    await played.start_api()
    played.apis.remove(doomed)


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_a_worker_is_killed(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        for _ in rounds:
            loading = asyncio.create_task(played.load(15, over_s=2.0))
            await asyncio.sleep(played.dice.uniform(0.5, 2.0))
            await played.kill(played.dice.choice(played.workers))
            await asyncio.gather(loading, played.start_worker(), played.goes_on(within_s=30))
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated <= IN_FLIGHT * len(rounds)


@pytest.mark.timeout(3_600)
async def test_every_worker_is_killed_at_once(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        played.receiver.delay_s = 0.2
        for _ in rounds:
            loading = asyncio.create_task(played.load(15, over_s=1.5))
            await asyncio.sleep(played.dice.uniform(0.5, 2.0))
            await asyncio.gather(*(played.kill(worker) for worker in list(played.workers)))
            await asyncio.gather(loading, *(played.start_worker() for _ in range(2)))
            await played.goes_on(within_s=30)
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid


@pytest.mark.timeout(3_600)
async def test_minds_change_while_workers_and_the_api_are_killed(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        for _ in rounds:
            changing = asyncio.create_task(_load_and_change_minds(played))
            await asyncio.sleep(played.dice.uniform(1.0, 2.5))
            await asyncio.gather(played.kill(played.workers[0]), played.start_worker(), _replace_api(played))
            await changing
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated <= IN_FLIGHT * len(rounds)


async def _load_and_change_minds(played: Scene) -> None:
    known = set(played.client.acknowledged)
    await played.load(12, over_s=1.5)
    fresh = sorted(played.client.acknowledged.keys() - known)
    for id_ in played.dice.sample(fresh, len(fresh)):
        await played.client.change_mind(id_)
        await asyncio.sleep(played.dice.uniform(0.0, 0.3))


@pytest.mark.timeout(3_600)
async def test_a_worker_is_told_to_stop(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        for _ in rounds:
            loading = asyncio.create_task(played.load(20, over_s=3.0))
            await asyncio.sleep(played.dice.uniform(1.0, 2.0))
            stopped = played.workers.pop(0)
            started = time.monotonic()
            stopped.child.send_signal(signal.SIGTERM)
            assert await stopped.child.wait() == 0
            assert time.monotonic() - started <= 20 + played.slack_s
            _, arrivals = await asyncio.gather(played.goes_on(within_s=20), _next_poll_s(played))
            assert arrivals <= 1.0 + played.slack_s
            await asyncio.gather(loading, played.start_worker())
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated == 0


async def _next_poll_s(played: Scene) -> float:
    before, started = played.upstream.arrivals, time.monotonic()
    while played.upstream.arrivals == before and time.monotonic() - started < 60:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    return time.monotonic() - started


@pytest.mark.timeout(3_600)
async def test_a_worker_is_frozen_past_its_lease_and_thawed(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        played.receiver.delay_s = 0.1
        for _ in rounds:
            loading = asyncio.create_task(played.load(40, over_s=8.0))
            await asyncio.sleep(played.dice.uniform(0.5, 2.0))
            frozen = played.dice.choice(played.workers)
            played.freeze(frozen)
            await asyncio.sleep(LEASE_S + played.dice.uniform(0.5, 2.0))
            played.thaw(frozen)
            await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated <= IN_FLIGHT * len(rounds)


@pytest.mark.timeout(3_600)
async def test_four_workers_share_one_account(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage(workers=4) as played:
        for _ in rounds:
            loading = asyncio.create_task(played.load(30, over_s=3.0))
            await asyncio.sleep(played.dice.uniform(0.5, 2.0))
            frozen, killed = played.dice.sample(played.workers, 2)
            played.freeze(frozen)
            await played.kill(killed)
            await asyncio.sleep(played.dice.uniform(0.5, LEASE_S + 1))
            played.thaw(frozen)
            await asyncio.gather(loading, played.start_worker())
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
