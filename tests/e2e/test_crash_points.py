"""A process that is killed at a named place: what it was doing goes on elsewhere, once and with nothing lost."""

import asyncio

import pytest

from relay.crash import VARIABLE, Point
from tests.support.clock import wait_until
from tests.support.receiver import receiving
from tests.support.stand import running, stand


@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", [Point.POLL_ANSWERED, Point.DELIVERY_WRITTEN])
async def test_a_worker_killed_at_a_named_place_costs_nothing_but_time(point: Point) -> None:
    async with stand("--durations", "fixed:0.1") as site, receiving() as receiver:
        api = await site.start("api")
        doomed_environment = site.environment | {VARIABLE: f"{point}:doomed"}
        async with running(("worker",), doomed_environment) as doomed:
            registration = await site.register(api, request_id="doomed", callback_url=receiver.url())
            assert await doomed.child.wait() == -9
        await site.start("worker")
        await wait_until(lambda: receiver.ids == [registration["id"]], within_s=60)


async def test_a_crash_point_that_does_not_exist_stops_the_start() -> None:
    async with stand() as site:
        with pytest.raises(RuntimeError, match="ended before it listened"):
            async with running(("worker",), site.environment | {VARIABLE: "poll.anwsered"}):
                pass


@pytest.mark.timeout(180)
async def test_a_task_that_kills_three_workers_is_rejected_and_harms_no_other() -> None:
    async with stand("--durations", "fixed:0.3") as site, receiving() as receiver:
        api = await site.start("api")
        poison = await site.register(api, request_id="poison", callback_url=receiver.url())
        others = [await site.register(api, request_id=f"task-{n}", callback_url=receiver.url()) for n in range(20)]
        killing, killed = site.environment | {VARIABLE: f"{Point.POLL_ANSWERED}:poison"}, 0
        while poison["id"] not in receiver.ids:
            async with running(("worker",), killing) as worker:
                ended = asyncio.create_task(worker.child.wait())
                await wait_until(lambda: ended.done() or poison["id"] in receiver.ids, within_s=60)  # noqa: B023
                killed += ended.done() and ended.result() == -9
                await wait_until(lambda: ended.done() or len(receiver.ids) == 21, within_s=60)  # noqa: B023
            await ended

    assert killed == 3
    rejected = next(one.message for one in receiver.requests if one.id == poison["id"])
    assert (rejected["type"], rejected["data"]["reason"]) == ("task.rejected", "kills_worker")
    assert sorted(receiver.ids) == sorted([poison["id"], *(one["id"] for one in others)])
