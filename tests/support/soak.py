"""A soak: real processes under a steady load for as long as told, and what they keep of it.

`python -m tests.support.soak MINUTES` prints a sample each half minute, then memory slopes, open files, the keys that
should not be there, the size of the AOF, and the verdict of the checker; exit code 1 when a pass mark is missed.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from redis.asyncio import Redis

from tests.support.clock import wait_until
from tests.support.keys_left import complaints
from tests.support.scene import Scene, scene
from tests.support.stand import Process

SAMPLE_S = 30.0
TASKS_A_SAMPLE = 150  # five a second: the polls of more would not fit into the budget
WARM_SHARE = 0.25  # of the run is warm-up, and says nothing of leaks
SLOPE_MIB = 1.0  # in ten minutes, at most
FILES_MORE = 5
AOF_RATIO = 4.0  # an AOF is rewritten when it has doubled; some more is written meanwhile
AOF_FREE_BYTES = 128 << 20  # below this, the store does not trouble to rewrite


@dataclass(frozen=True)
class Sample:
    """One look at a process: minutes since the start, resident memory, open files."""

    at_min: float
    rss_mib: float
    files: int


async def main(minutes: float) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with scene(Path(folder), Random(1)) as played:
            return await _soak(played, minutes)


async def _soak(played: Scene, minutes: float) -> int:
    started, processes = time.monotonic(), _processes(played)
    samples: dict[str, list[Sample]] = {name: [] for name in processes}
    while time.monotonic() - started < minutes * 60:
        await played.load(TASKS_A_SAMPLE, over_s=SAMPLE_S)
        for name, process in processes.items():
            at_min = (time.monotonic() - started) / 60
            samples[name].append(Sample(at_min, process.rss_mib(), _files(process)))
            _say(
                f"{samples[name][-1].at_min:6.1f} min  {name:<8} {process.rss_mib():7.1f} MiB  {_files(process)} files"
            )
    verdict = await played.judge()
    _say(str(verdict))
    missed = [*_missed(samples, warm_min=minutes * WARM_SHARE), *await _left(played)]
    for one in missed:
        _say(f"missed: {one}")
    return 0 if verdict.valid and not missed else 1


def _processes(played: Scene) -> dict[str, Process]:
    workers = {f"worker {number}": worker for number, worker in enumerate(played.workers, start=1)}
    return {"api": played.apis[-1], **workers}


def _files(process: Process) -> int:
    return len(list(Path(f"/proc/{process.child.pid}/fd").iterdir()))


def _missed(samples: dict[str, list[Sample]], *, warm_min: float) -> list[str]:
    missed = []
    for name, taken in samples.items():
        warm = [sample for sample in taken if sample.at_min >= warm_min]
        if len(warm) < 3:
            missed.append(f"{name}: {len(warm)} samples after the warm-up are too few")
            continue
        slope = statistics.linear_regression([one.at_min for one in warm], [one.rss_mib for one in warm]).slope * 10
        _say(f"{name:<8} {slope:+.2f} MiB in ten minutes, files {warm[0].files} to {warm[-1].files}")
        if slope > SLOPE_MIB:
            missed.append(f"{name} grows by {slope:.2f} MiB in ten minutes")
        if warm[-1].files > warm[0].files + FILES_MORE:
            missed.append(f"{name} has {warm[-1].files} files open, {warm[0].files} at first")
    return missed


async def _left(played: Scene) -> list[str]:
    """Return what the store keeps and should not: lanes without work, keys that nobody comes for, a long AOF."""
    async with Redis.from_url(played.valkey.url) as redis:
        await wait_until(lambda: _no_lanes(redis), within_s=30)
        for worker in played.workers:
            worker.child.terminate()
            await worker.child.wait()
        memory = (await redis.info("memory"))["used_memory"]
        left = await complaints(redis)
    folder = played.valkey.data_dir / "appendonlydir"
    aof_bytes = sum(path.stat().st_size for path in folder.iterdir())
    _say(f"store    {memory >> 20} MiB in memory, {aof_bytes >> 20} MiB of AOF, {len(left)} keys forgotten")
    if aof_bytes > max(AOF_FREE_BYTES, AOF_RATIO * memory):
        left.append(f"the AOF has {aof_bytes >> 20} MiB for {memory >> 20} MiB of data")
    return left


async def _no_lanes(redis: Redis) -> bool:
    return bool(await redis.zcard("relay:lanes") == 0)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(float(sys.argv[1]))))
