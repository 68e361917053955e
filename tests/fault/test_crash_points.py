"""Every named place at which a process can die: at each one it dies, in the middle of a load, and nothing is lost."""

import asyncio
import signal

import pytest

from relay.crash import VARIABLE, Point
from tests.fault.conftest import Stage, Tell
from tests.support.scene import Scene
from tests.support.stand import Process

GOES_ON_S = 30.0
SOON_S = 0.5  # a deadline that passes before the task has ended
OF_DEADLINES = (Point.EXPIRE_DECIDED, Point.EXPIRE_COMMITTED)
OF_WORKERS = [point for point in Point if point is not Point.REGISTERED]


@pytest.mark.timeout(3_600)
async def test_a_worker_dies_at_every_named_point(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage(workers=0) as played:
        for _ in rounds:
            for point in played.dice.sample(OF_WORKERS, len(OF_WORKERS)):
                doomed = await played.start_worker(**{VARIABLE: point})
                deadline = {"deadline_s": SOON_S} if point in OF_DEADLINES else {}
                await played.load(6, over_s=0.5, **deadline)
                assert await asyncio.wait_for(doomed.child.wait(), GOES_ON_S) == -signal.SIGKILL, point
                played.workers.remove(doomed)
                heir, *_ = await asyncio.gather(
                    played.start_worker(), played.goes_on(within_s=GOES_ON_S), played.load(2, over_s=0.5)
                )
                await _stop(played, heir)
        await played.start_worker()
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated <= 8 * len(OF_WORKERS) * len(rounds)  # what was under way when a worker died


async def _stop(played: Scene, worker: Process) -> None:
    played.workers.remove(worker)
    worker.child.terminate()
    assert await worker.child.wait() == 0


@pytest.mark.timeout(3_600)
async def test_an_api_dies_between_the_write_and_its_answer(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        for _ in rounds:
            doomed = await played.start_api(**{VARIABLE: Point.REGISTERED})
            loading = asyncio.create_task(played.load(6, over_s=0.5))
            assert await doomed.child.wait() == -signal.SIGKILL
            played.apis.remove(doomed)
            await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert verdict.duplicated == 0
    assert verdict.acknowledged == 6 * len(rounds)
