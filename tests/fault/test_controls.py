"""Negative controls: relays and disks that break a promise, on purpose. The checker must say INVALID, and why."""

import asyncio
from pathlib import Path

import pytest

from tests.fault.conftest import Stage, Tell
from tests.support.clock import wait_until
from tests.support.history.checker import Verdict
from tests.support.power import Disk, cut_off
from tests.support.scene import CALLS, WINDOW_S

UNSYNCED_BYTES = 10_000  # some registrations' worth


@pytest.mark.timeout(3_600)
async def test_control_a_limiter_that_is_one_over(stage: Stage, told: Tell) -> None:
    async with stage(RELAY_UPSTREAM_LIMIT=f"{CALLS + 1}/{WINDOW_S:g}") as played:
        played.upstream.calls = 10 * CALLS  # it does not defend itself: only the checker is to see it
        await played.load(80, over_s=1.0)
        verdict = told(played, await played.judge(), 1)

    assert _offences(verdict) == {"window violations"}


@pytest.mark.timeout(3_600)
async def test_control_everysec_and_a_power_cut(stage: Stage, told: Tell, tmp_path: Path) -> None:
    disk, everysec = Disk(tmp_path), {"appendfsync": "everysec"}
    async with stage(valkey=everysec, valkey_environment=disk.environment, RELAY_ALLOW_DEGRADED="1") as played:
        loading = asyncio.create_task(played.load(120, over_s=4.0))
        await wait_until(lambda: sum(disk.unsynced(played.valkey).values()) > UNSYNCED_BYTES, within_s=4)
        cut_bytes = await disk.cut_power(played.valkey)
        await played.valkey.start()
        await loading
        verdict = told(played, await played.judge(within_s=15), 1)

    assert cut_bytes > 0
    assert "lost" in _offences(verdict)


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_control_a_disk_that_lies(stage: Stage, told: Tell) -> None:
    async with stage(workers=0) as played:
        await played.load(20, over_s=1.0)
        await cut_off(played.valkey, 5_000)
        await played.valkey.start()
        await played.start_worker()
        verdict = told(played, await played.judge(within_s=8), 1)

    assert _offences(verdict) == {"lost"}


def _offences(verdict: Verdict) -> set[str]:
    return {name for name, found in verdict.offenders.items() if found}
