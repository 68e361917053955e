"""Polling: the production policy beside the simple ones and the clairvoyant, in every world, on the virtual clock.

    python -m tests.bench.bench_polling [--quick] [--scenarios n1,lifo] [--seeds 1,2,3]

Lags are seconds, averaged over the seeds; "max" and "longest unpolled" are the worst of them, refusals their sum.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import exp, log
from multiprocessing import Pool
from typing import NamedTuple

from relay.simulate.clairvoyant import clairvoyant
from relay.simulate.policies import POLICIES, PRODUCTION, Policy
from relay.simulate.run import simulate
from relay.simulate.summary import Summary, summarize
from tests.bench.policies import BASELINES
from tests.bench.worlds import QUICK, SCENARIOS

CLAIRVOYANT, RELAY, ROUND_ROBIN = "clairvoyant", f"relay ({PRODUCTION})", "round robin"
MEASURED: dict[str, Policy] = {RELAY: POLICIES[PRODUCTION], **BASELINES}
ROWS = (CLAIRVOYANT, *MEASURED)
ONLY_WHEN_NAMED = {"big-fifo4.5-mix"}  # hours of newest first
COLUMNS = (
    *("scenario", "policy", "mean", "p50", "p95", "p99", "max"),
    *("polls/task", "refusals", "longest unpolled", "x clairvoyant", "x round robin"),
)
PROCESSES = 2


class Job(NamedTuple):
    """One run: what is simulated."""

    scenario: str
    policy: str
    seed: int


class Means(NamedTuple):
    """A policy in a scenario, over the seeds."""

    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    polls_per_task: float
    refusals: int
    longest_unpolled_s: float


def main(scenarios: Sequence[str], seeds: Sequence[int]) -> None:
    means: dict[str, dict[str, Means]] = {}
    print(f"| {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * (len(COLUMNS) - 2)}")
    for scenario, found in _measured(scenarios, seeds):
        means[scenario] = found
        for policy in ROWS:
            print(_row(scenario, policy, found), flush=True)
    print(f"\nMean lag of {RELAY}, geometric mean of the ratios over {len(means)} scenarios:")
    for policy in (*BASELINES, CLAIRVOYANT):
        ratios = [found[RELAY].mean_s / found[policy].mean_s for found in means.values()]
        print(f"- {exp(sum(map(log, ratios)) / len(ratios)):.3f} x {policy}")


def _measured(scenarios: Sequence[str], seeds: Sequence[int]) -> Iterable[tuple[str, dict[str, Means]]]:
    """Give each scenario as soon as all its runs are there."""
    jobs = [Job(scenario, policy, seed) for scenario in scenarios for policy in ROWS for seed in seeds]
    found: dict[str, dict[str, list[Summary]]] = defaultdict(lambda: defaultdict(list))
    with Pool(PROCESSES) as pool:
        for number, (job, summary) in enumerate(pool.imap(_run, jobs), 1):
            found[job.scenario][job.policy].append(summary)
            if number % (len(ROWS) * len(seeds)) == 0:
                yield job.scenario, {policy: _means(summaries) for policy, summaries in found[job.scenario].items()}


def _run(job: Job) -> tuple[Job, Summary]:
    scenario = SCENARIOS[job.scenario]
    world = scenario.world(job.seed)
    if job.policy == CLAIRVOYANT:
        run = clairvoyant(world, scenario.limit)
    else:
        run = simulate(world, MEASURED[job.policy](scenario.limit), scenario.limit, seed=job.seed)
    return job, summarize([run], scenario.limit)


def _means(summaries: Sequence[Summary]) -> Means:
    def mean(figure: str) -> float:
        return float(sum(getattr(each, figure) for each in summaries)) / len(summaries)

    return Means(
        mean_s=mean("mean_s"),
        p50_s=mean("p50_s"),
        p95_s=mean("p95_s"),
        p99_s=mean("p99_s"),
        max_s=max(each.max_s for each in summaries),
        polls_per_task=mean("polls_per_task"),
        refusals=sum(each.refusals for each in summaries),
        longest_unpolled_s=max(each.longest_unpolled_s for each in summaries),
    )


def _row(scenario: str, policy: str, found: dict[str, Means]) -> str:
    means = found[policy]
    ratios = [means.mean_s / found[other].mean_s for other in (CLAIRVOYANT, ROUND_ROBIN)]
    return f"| {' | '.join([scenario, policy, *map(_short, [*means, *ratios])])} |"


def _short(figure: float) -> str:
    if isinstance(figure, int):
        return str(figure)
    return f"{figure:.2f}" if figure < 10 else f"{figure:.1f}" if figure < 100 else f"{figure:,.0f}"


def _asked() -> tuple[list[str], list[int]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="some scenarios, one seed")
    parser.add_argument("--scenarios", help="their names, commas between; default: all but the largest")
    parser.add_argument("--seeds", help="default: 1,2,3")
    asked = parser.parse_args()
    usual = QUICK if asked.quick else [name for name in SCENARIOS if name not in ONLY_WHEN_NAMED]
    scenarios = asked.scenarios.split(",") if asked.scenarios else list(usual)
    if unknown := set(scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    seeds = asked.seeds or ("1" if asked.quick else "1,2,3")
    return scenarios, [int(seed) for seed in seeds.split(",")]


if __name__ == "__main__":
    main(*_asked())
