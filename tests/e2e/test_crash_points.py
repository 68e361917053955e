"""A process that is killed at a named place: what it was doing goes on elsewhere, once and with nothing lost."""

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
