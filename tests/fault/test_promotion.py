"""A replica is promoted under load: with `WAIT 1` nothing that was acknowledged is lost; without it, it is."""

import asyncio
from pathlib import Path

import pytest

from tests.fault.conftest import Stage, Tell
from tests.support.proxy import to_socket
from tests.support.replicas import Pair, pair_in
from tests.support.scene import Scene
from tests.support.valkey import Valkey

GOES_ON_S = 30.0
WAIT_FOR_ONE = {"RELAY_STORE_WAIT_REPLICAS": "1"}


async def _switch(played: Scene, pair: Pair, *, killed: bool) -> None:
    """Make the replica the primary, and what was the primary its replica, killed before that or not."""
    old, new = played.valkey, pair.replica if played.valkey is pair.primary else pair.primary
    if killed:
        await old.kill()
    await new.ask("REPLICAOF", "NO", "ONE")
    if killed:
        await old.start()
    await old.ask("REPLICAOF", "127.0.0.1", pair.ports[new is pair.replica])
    await asyncio.sleep(played.dice.uniform(0.0, 1.0))  # so long everybody still asks the old one, which is read-only
    _lead_to(played, new)


def _lead_to(played: Scene, valkey: Valkey) -> None:
    played.valkey, played.store.dial = valkey, to_socket(valkey.url)
    played.store.cut()
    played.store.mend()


@pytest.mark.timeout(3_600)
async def test_a_replica_is_promoted(stage: Stage, rounds: range, told: Tell, tmp_path: Path) -> None:
    async with pair_in(tmp_path / "pair") as pair, stage(store=pair.primary, **WAIT_FOR_ONE) as played:
        for number in rounds:
            loading = asyncio.create_task(played.load(20, over_s=4.0))
            await asyncio.sleep(played.dice.uniform(0.5, 2.0))
            await _switch(played, pair, killed=number % 2 == 0)
            await played.goes_on(within_s=GOES_ON_S)
            await loading
        verdict = told(played, await played.judge(), len(rounds))
        ended = [worker for worker in played.workers if worker.child.returncode is not None]

    assert verdict.valid
    assert not ended


async def _promote_one_that_lags(played: Scene, pair: Pair) -> None:
    """Let the replica hear nothing while the primary takes a load, and promote it in the primary's place."""
    await pair.replica.ask("REPLICAOF", "127.0.0.1", "1")  # where nobody is
    loading = asyncio.create_task(played.load(20, over_s=1.0))
    await asyncio.wait([loading], timeout=3.0)  # it ends only if nobody waits for the replica
    await _switch(played, pair, killed=True)
    await loading


@pytest.mark.timeout(3_600)
async def test_a_replica_that_lags_is_promoted(stage: Stage, told: Tell, tmp_path: Path) -> None:
    async with pair_in(tmp_path / "pair") as pair, stage(store=pair.primary, **WAIT_FOR_ONE) as played:
        await _promote_one_that_lags(played, pair)
        verdict = told(played, await played.judge(), 1)

    assert verdict.valid


@pytest.mark.timeout(3_600)
async def test_control_a_replica_that_lags_and_nobody_waits_for_it(stage: Stage, told: Tell, tmp_path: Path) -> None:
    async with pair_in(tmp_path / "pair") as pair, stage(store=pair.primary) as played:
        await _promote_one_that_lags(played, pair)
        verdict = told(played, await played.judge(within_s=8), 1)

    assert "lost" in {name for name, found in verdict.offenders.items() if found}
