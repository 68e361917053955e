"""A soak: real processes under a steady load for as long as told, and what they keep of it.

`python -m tests.support.soak MINUTES` prints a sample each half minute, then memory slopes, open files, tasks of the
event loop, the keys that should not be there, the size of the AOF, and the verdict of the checker; exit code 1 when a
pass mark is missed.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
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
TASKS_MORE = 3  # who asks is counted too
QUIET_S = 30
AOF_RATIO = 4.0  # an AOF is rewritten when it has doubled; some more is written meanwhile
AOF_FREE_BYTES = 128 << 20  # below this, the store does not trouble to rewrite


@dataclass(frozen=True)
class Sample:
    """One look at a process: minutes since the start, resident memory, open files, tasks of its event loop."""

    at_min: float
    rss_mib: float
    files: int
    tasks: int

    @classmethod
    async def of(cls, process: Process, *, at_min: float) -> "Sample":
        return cls(at_min, process.rss_mib(), _files(process), await _tasks(process))

    def __str__(self) -> str:
        return f"{self.rss_mib:7.1f} MiB  {self.files} files  {self.tasks} tasks"


async def main(minutes: float) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with scene(Path(folder), Random(1)) as played:
            return await _soak(played, minutes)


async def _soak(played: Scene, minutes: float) -> int:
    started, processes = time.monotonic(), _processes(played)
    before = {name: await _tasks(process) for name, process in processes.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in processes}
    while time.monotonic() - started < minutes * 60:
        await played.load(TASKS_A_SAMPLE, over_s=SAMPLE_S)
        at_min = (time.monotonic() - started) / 60
        for name, process in processes.items():
            samples[name].append(await Sample.of(process, at_min=at_min))
            _say(f"{at_min:6.1f} min  {name:<8} {samples[name][-1]}")
    verdict = await played.judge()
    _say(str(verdict))
    missed = _missed(samples, warm_min=minutes * WARM_SHARE)
    missed += [one for name, process in processes.items() async for one in _tasks_left(name, process, before[name])]
    missed += await _left(played)
    for one in missed:
        _say(f"missed: {one}")
    return 0 if verdict.valid and not missed else 1


async def _tasks_left(name: str, process: Process, before: int) -> AsyncIterator[str]:
    """Yield a complaint unless the event loop comes back to the tasks that it had at first."""
    for _ in range(QUIET_S):
        await asyncio.sleep(1)  # asking oftener would be found among the tasks
        after = await _tasks(process)
        if after <= before + TASKS_MORE:
            break
    _say(f"{name:<8} {after} tasks in the end, {before} at first")
    if after > before + TASKS_MORE:
        yield f"{name} has {after} tasks in its event loop, {before} at first"


def _processes(played: Scene) -> dict[str, Process]:
    workers = {f"worker {number}": worker for number, worker in enumerate(played.workers, start=1)}
    return {"api": played.apis[-1], **workers}


def _files(process: Process) -> int:
    return len(list(Path(f"/proc/{process.child.pid}/fd").iterdir()))


async def _tasks(process: Process) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"{process.url}/metrics")).text.splitlines()
    return int(float(next(line for line in lines if line.startswith("relay_event_loop_tasks ")).split()[1]))


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
