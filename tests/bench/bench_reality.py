"""Reality: the same tasks polled by real processes and by the simulator, and how their lags compare.

    python -m tests.bench.bench_reality [--scenarios steady,queue,burst]

The sandbox is told when each task ends, and the simulator gets the instants at which the tasks really were
registered and ended; so what is compared is the relay. Half a millisecond on the way of a call decides which task is
looked at next, and a few tasks in the tail decide the mean: so the simulator plays each several times over, with other
delays, and the mean of that is compared. About two minutes a scenario.
"""

import argparse
import asyncio
import time
from statistics import mean
from typing import Any

from relay.domain.budget import Limit
from relay.simulate.arrivals import Burst, Steady
from relay.simulate.durations import Durations, lognormal_of_mean
from relay.simulate.policies import POLICIES, PRODUCTION
from relay.simulate.run import simulate
from relay.simulate.summary import summarize
from relay.simulate.work import Order, Work
from relay.simulate.world import Life, Load, RoundTrip, World
from tests.support.receiver import receiving
from tests.support.stand import Process, Stand, stand

LIMIT = Limit(25, 5.0)
LOOPBACK = RoundTrip(rtt_s=0.004, jitter_s=0.0005)
PLAYED = 16  # times
LOADS = {
    "steady": Load(Steady(3), Work(Durations("lognormal", (2.0, 0.7))), 90.0),
    "queue": Load(Burst(250), Work(lognormal_of_mean(0.25, 0.5), Order.FIFO), 1.0),
    "burst": Load(Burst(300), Work(Durations("lognormal", (10.0, 0.7))), 1.0),
}
LEAD_S = 0.5
LOOK_S = 0.5
TOLERATED = 0.10
FIGURES = {"mean": "mean_s", "p50": "p50_s", "p99": "p99_s", "max": "max_s"}


async def main(names: list[str]) -> None:
    print(f"{PRODUCTION} at {LIMIT}; lags in seconds\n\n| scenario | tasks | lag | real | simulated | real/simulated |")
    print("|---|---:|---|---:|---:|---:|")
    for name in names:
        world = LOADS[name].world(1)
        async with stand("--limit", str(LIMIT)) as site, receiving() as receiver:
            api, _ = await site.start("api"), await site.start("worker")
            played = await _play(site, api, world, receiver.url())
            real = await _all_seen(site, len(world.lives))
        _compare(name, real, played)


async def _play(site: Stand, api: Process, world: World, callback_url: str) -> World:
    """Make and register the world's tasks at their times; return the world that it became."""
    lives: list[Life] = []
    zero_at = time.monotonic() + LEAD_S
    for number, life in enumerate(world.lives):
        await asyncio.sleep(zero_at + life.submitted_at - time.monotonic())
        final_at = max(life.final_at, time.monotonic() - zero_at)
        request_id = f"task-{number:06d}"
        plan = {"finish_in_s": max(0.0, zero_at + final_at - time.monotonic())}
        (await site.http.put(f"{site.sandbox.url}/sandbox/tasks/{request_id}", json=plan)).raise_for_status()
        await site.register(api, request_id=request_id, callback_url=callback_url)
        lives.append(Life(time.monotonic() - zero_at, final_at))
    return World(tuple(lives), LOOPBACK)


async def _all_seen(site: Stand, tasks: int) -> dict[str, Any]:
    """Wait until the sandbox has told the end of all tasks, and return how late it did."""
    while True:
        report = await site.report()
        lags: dict[str, Any] = report["detection_lag_s"]
        if lags["count"] == tasks:
            refused = sum(sum(account["refused"].values()) for account in report["accounts"].values())
            assert refused == 0, f"{refused} calls were refused"
            return lags
        await asyncio.sleep(LOOK_S)


def _compare(name: str, real: dict[str, Any], played: World) -> None:
    runs = [simulate(played, POLICIES[PRODUCTION](LIMIT), LIMIT, seed=seed) for seed in range(PLAYED)]
    summaries = [summarize([run], LIMIT) for run in runs]
    for figure, field in FIGURES.items():
        simulated = [getattr(summary, field) for summary in summaries]
        expected = mean(simulated)
        ratio = real[figure] / expected
        verdict = "" if figure != "mean" or abs(ratio - 1) <= TOLERATED else " (off)"
        spread = f"{min(simulated):.3f} to {max(simulated):.3f}"
        print(
            f"| {name} | {real['count']} | {figure} | {real[figure]:.3f} | {expected:.3f} ({spread}) "
            f"| {ratio:.3f}{verdict} |",
            flush=True,
        )


def _asked() -> list[str]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=",".join(LOADS), help="their names, commas between")
    names: list[str] = parser.parse_args().scenarios.split(",")
    if unknown := set(names) - set(LOADS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    asyncio.run(main(_asked()))
