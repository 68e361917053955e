"""What a restart costs: a worker that is told to stop, and a store that is killed."""

import os
import signal

import pytest

from tests.support.clock import wait_until
from tests.support.receiver import Receiver, receiving
from tests.support.stand import CLIENT_KEY, Process, Stand, stand

TASKS = 40
DURATIONS = ("--durations", "uniform:2,15", "--seed", "1")


@pytest.mark.timeout(120)
async def test_a_killed_store_costs_nobody_a_registration_and_no_worker_its_life() -> None:
    async with stand(*DURATIONS) as site, receiving() as receiver:
        api, worker = await site.start("api"), await site.start("worker")
        ids = await _register_all(site, api, receiver)

        os.kill(site.valkey.pid, signal.SIGKILL)
        await site.valkey.wait()
        await site.valkey.stop()
        refused = await site.http.post(
            f"{api.url}/v1/registrations",
            json={"request_id": "meanwhile", "callback_url": receiver.url()},
            headers={"authorization": f"Bearer {CLIENT_KEY}"},
        )
        await site.valkey.start()
        await wait_until(lambda: set(receiver.ids) == ids, within_s=60)

        assert refused.status_code == 503
        assert refused.json()["code"] == "store_unavailable"
        assert "retry-after" in refused.headers
        assert worker.child.returncode is None
        await _assert_budget_kept(site)


@pytest.mark.timeout(120)
async def test_a_worker_told_to_stop_hands_its_lanes_to_the_other_and_exits_cleanly() -> None:
    async with stand(*DURATIONS) as site, receiving() as receiver:
        api = await site.start("api")
        one, another = await site.start("worker"), await site.start("worker")
        ids = await _register_all(site, api, receiver)
        stopped, other = (one, another) if await _polls(site, one) else (another, one)

        stopped.child.terminate()
        exit_code = await stopped.child.wait()
        await wait_until(lambda: _polls(site, other))
        await wait_until(lambda: set(receiver.ids) == ids, within_s=60)

        assert exit_code == 0
        assert len(receiver.ids) == TASKS
        assert "relay_lease_reclaims_total 0.0" in await _metrics(site, other)
        await _assert_budget_kept(site)


async def _register_all(site: Stand, api: Process, receiver: Receiver) -> set[str]:
    made = [
        await site.register(api, request_id=f"task-{number}", callback_url=receiver.url()) for number in range(TASKS)
    ]
    await wait_until(lambda: receiver.requests)
    return {registration["id"] for registration in made}


async def _polls(site: Stand, worker: Process) -> bool:
    return 'relay_lanes{kind="poll"} 1.0' in await _metrics(site, worker)


async def _metrics(site: Stand, worker: Process) -> str:
    return (await site.http.get(f"{worker.url}/metrics")).text


async def _assert_budget_kept(site: Stand) -> None:
    account = (await site.report())["accounts"]["default"]
    assert account["worst_window"] <= 25
    assert not account["refused"]
