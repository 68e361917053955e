"""The store killed, without power, full, slow, frozen and out of reach, under load."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fault.conftest import Stage, Tell
from tests.support.power import Disk
from tests.support.preload import SmallDisk
from tests.support.scene import Scene

PROMISED_ANSWER_S = 2.0
LEASE_S = 5.0


@pytest.mark.timeout(3_600)
async def test_the_store_is_killed(stage: Stage, rounds: range, told: Tell) -> None:
    async with stage() as played:
        for _ in rounds:
            loading = asyncio.create_task(played.load(20, over_s=4.0))
            await asyncio.sleep(played.dice.uniform(0.5, 2.0))
            await played.valkey.kill()
            await asyncio.sleep(played.dice.choice([0.0, 0.3, 2.0]))
            await played.valkey.start()
            await played.goes_on(within_s=20)
            await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert played.client.slowest_s <= PROMISED_ANSWER_S + played.slack_s


@pytest.mark.timeout(3_600)
async def test_the_power_fails(stage: Stage, rounds: range, told: Tell, tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    async with stage(valkey_environment=disk.environment) as played:
        for _ in rounds:
            loading = asyncio.create_task(played.load(40, over_s=3.0))
            await asyncio.sleep(played.dice.uniform(0.5, 2.0))
            await disk.cut_power(played.valkey)
            await played.valkey.start()
            await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid


@pytest.mark.timeout(3_600)
async def test_the_disk_is_full(stage: Stage, rounds: range, told: Tell, tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path)
    async with stage(valkey_environment=disk.environment) as played:
        for _ in rounds:
            loading = asyncio.create_task(played.load(20, over_s=4.0))
            await asyncio.sleep(played.dice.uniform(0.5, 2.0))
            disk.fill()
            await played.valkey.ended()  # a store that promises `always` ends when it cannot keep it
            await asyncio.sleep(played.dice.uniform(0.0, 2.0))
            disk.make_room()
            await played.valkey.start()
            await played.goes_on(within_s=20)
            await loading
        verdict = told(played, await played.judge(), len(rounds))

    assert verdict.valid
    assert played.client.slowest_s <= PROMISED_ANSWER_S + played.slack_s


async def _full(played: Scene) -> None:
    await played.valkey.ask("CONFIG", "SET", "maxmemory", "1")


async def _emptied(played: Scene) -> None:
    await played.valkey.ask("CONFIG", "SET", "maxmemory", "0")


async def _slow(played: Scene) -> None:
    played.store.delay_s = played.dice.uniform(0.1, 0.6)


async def _black_hole(played: Scene) -> None:
    played.store.black_hole()


async def _cut(played: Scene) -> None:
    played.store.cut()


async def _frozen(played: Scene) -> None:
    played.valkey.freeze()


async def _read_only(played: Scene) -> None:
    await played.valkey.ask("REPLICAOF", "127.0.0.1", "1")  # nobody is there: it keeps what it has, and takes nothing


async def _promoted(played: Scene) -> None:
    await played.valkey.ask("REPLICAOF", "NO", "ONE")


async def _mended(played: Scene) -> None:
    played.store.mend()


async def _thawed(played: Scene) -> None:
    played.valkey.thaw()


Do = Callable[[Scene], Awaitable[None]]


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("fault", "end", "lasts_s"),
    [
        pytest.param(_full, _emptied, 2.5, id="out of memory"),
        pytest.param(_read_only, _promoted, 2.5, id="read-only"),
        pytest.param(_slow, _mended, 3.0, id="slow", marks=pytest.mark.long),
        pytest.param(_black_hole, _mended, 3.0, id="a black hole"),
        pytest.param(_cut, _mended, LEASE_S + 1.5, id="cut off past every lease"),
        pytest.param(_frozen, _thawed, 2.5, id="frozen", marks=pytest.mark.long),
    ],
)
async def test_the_store_is(stage: Stage, rounds: range, told: Tell, fault: Do, end: Do, lasts_s: float) -> None:
    async with stage() as played:
        for _ in rounds:
            loading = asyncio.create_task(played.load(20, over_s=lasts_s + 1.5))
            await asyncio.sleep(played.dice.uniform(0.5, 1.0))
            await fault(played)
            await asyncio.sleep(lasts_s)
            await end(played)
            await played.goes_on(within_s=20)
            await loading
        verdict = told(played, await played.judge(), len(rounds))
        ended = [worker for worker in played.workers if worker.child.returncode is not None]

    assert verdict.valid
    assert not ended
    assert played.client.slowest_s <= PROMISED_ANSWER_S + played.slack_s
