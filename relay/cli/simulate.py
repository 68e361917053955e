"""`relay simulate`: what lag a load would see, by the production scheduler on a virtual clock."""

from collections.abc import Callable
from dataclasses import asdict
from math import inf
from typing import Any, TypeVar

import click
import orjson

from relay.cli.progress import Progress
from relay.domain.budget import Limit
from relay.simulate.arrivals import Arrivals, parse_arrivals
from relay.simulate.durations import Durations, lognormal_of_mean, parse_seconds
from relay.simulate.experiment import Experiment, find_limit, most_calls
from relay.simulate.plot import plot
from relay.simulate.policies import POLICIES, PRODUCTION
from relay.simulate.run import Run
from relay.simulate.tails import Tails
from relay.simulate.telling import conclusion, seconds, table
from relay.simulate.work import Order, Pauses, Work
from relay.simulate.world import Load, RoundTrip

_QUEUE_SIGMA = 0.5

Value = TypeVar("Value")


def _read_by(parse: Callable[[str], Value]) -> Callable[[click.Context, click.Parameter, str | None], Value | None]:
    """Return click's callback for an option that `parse` reads; it raises ValueError with what is wrong."""

    def read(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Value | None:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return read


@click.command(
    epilog="""\b
Examples:
  relay simulate --arrivals 3/s --retried 0.05 --stuck 0.02 --plot
  relay simulate --arrivals 3/s --durations exponential:30 --seconds 900 --find-limit 5s
"""
)
@click.option(
    "--arrivals",
    default="3/s",
    show_default=True,
    metavar="HOW",
    callback=_read_by(parse_arrivals),
    help="When tasks come: 3/s (Poisson), burst:5000 (at once) or batches:200/100s.",
)
@click.option(
    "--hours",
    default=1.0,
    show_default=True,
    metavar="HOURS",
    type=click.FloatRange(0, min_open=True),
    help="For how long tasks come.",
)
@click.option(
    "--seconds", "lasting_s", metavar="SECONDS", type=click.FloatRange(0, min_open=True), help="The same in seconds."
)
@click.option(
    "--durations",
    metavar="HOW",
    callback=_read_by(Durations.parse),
    help="Seconds of work: fixed:S, uniform:LOW,HIGH, exponential:MEAN or lognormal:MEDIAN,SIGMA; default: "
    "lognormal:10,0.7, and in a queue with --rate what the workers need for it.",
)
@click.option(
    "--order",
    default="independent",
    show_default=True,
    type=click.Choice([*map(str, Order)]),
    help="All tasks at once, or one queue from either end.",
)
@click.option(
    "--rate",
    metavar="PER_S",
    type=click.FloatRange(0, min_open=True),
    help="A queue's tasks a second; with --durations too: started a second at most.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    metavar="COUNT",
    type=click.IntRange(1, 100_000),
    help="Those of a queue.",
)
@click.option(
    "--pauses",
    callback=_read_by(Pauses.parse),
    metavar="EVERY/FOR",
    help="A queue halts: 120s/20s is 20 s after each 120 s, on the average.",
)
@click.option(
    "--retried",
    default=0.0,
    type=click.FloatRange(0, 1),
    metavar="PART",
    help="Tasks that fail at first and are retried.",
)
@click.option("--stuck", default=0.0, type=click.FloatRange(0, 1), metavar="PART", help="Tasks that hang for an hour.")
@click.option(
    "--limit",
    default="25/5",
    show_default=True,
    metavar="CALLS/SECONDS",
    callback=_read_by(Limit.parse),
    help="What each account may spend.",
)
@click.option(
    "--share",
    metavar="PART",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="The part of the limit that the relay may use.",
)
@click.option(
    "--others", default=0.0, type=click.FloatRange(0), metavar="PER_S", help="Somebody else's calls on the account."
)
@click.option(
    "--rtt", default="80ms", show_default=True, metavar="TIME", callback=_read_by(parse_seconds), help="A round trip."
)
@click.option(
    "--jitter", default="0ms", metavar="TIME", callback=_read_by(parse_seconds), help="More each way, on the average."
)
@click.option(
    "--accounts",
    metavar="COUNT",
    default=1,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="So many accounts, each with this load and this limit.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same answer.")
@click.option(
    "--policy", default=PRODUCTION, show_default=True, type=click.Choice([*POLICIES]), help="Which task is polled next."
)
@click.option("--metrics-hint", "hinted", is_flag=True, help="Also ask now and then how the queue stands.")
@click.option(
    "--find-limit",
    "target_s",
    metavar="TIME",
    callback=_read_by(parse_seconds),
    help="Find the least calls a window at which 99 % are seen within this time.",
)
@click.option("--plot", "with_plot", is_flag=True, help="Draw lag over time.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def simulate(policy: str, target_s: float | None, *, with_plot: bool, as_json: bool, **options: Any) -> None:
    """Say what lag a load would see, without waiting for it.

    The production scheduler, its rate window and its gate run on a virtual clock against a made-up upstream: an
    hour of a saturated account takes a second. Lag is from the final status being visible to it being read;
    "clairvoyant" is what somebody would reach who knew when each task ends.
    """
    if options["hinted"] and policy != PRODUCTION:
        raise click.UsageError(f"--metrics-hint is for --policy {PRODUCTION}: the others do not heed it")
    experiment, progress = _experiment(**options), Progress(quiet=as_json)
    if target_s is not None:
        experiment = _at_the_least_limit(experiment, policy, target_s, progress)
    progress.show(f"simulating {experiment.limit} ...")
    runs = experiment.runs(POLICIES[policy])
    progress.clear()
    if not any(run.seen for run in runs):
        raise click.UsageError("no task comes in that time; make it longer")
    if as_json:
        click.echo(orjson.dumps(_facts(experiment, policy, runs, target_s), option=orjson.OPT_INDENT_2))
        return
    click.echo(_told(experiment, policy, runs, target_s))
    if with_plot:
        click.echo("\n" + plot(runs))


def _experiment(
    *,
    arrivals: Arrivals,
    hours: float,
    lasting_s: float | None,
    retried: float,
    stuck: float,
    limit: Limit,
    share: float,
    others: float,
    rtt: float,
    jitter: float,
    accounts: int,
    seed: int,
    hinted: bool,
    **queue: Any,
) -> Experiment:
    if retried + stuck > 1:
        raise click.UsageError("--retried and --stuck are more than all tasks")
    load = Load(
        arrivals,
        _work(**queue),
        hours * 3600 if lasting_s is None else lasting_s,
        Tails(retried, stuck),
        RoundTrip(rtt, jitter),
        others,
    )
    return Experiment(load, limit, share, accounts, seed, hinted)


def _work(*, durations: Durations | None, order: str, rate: float | None, workers: int, pauses: Pauses | None) -> Work:
    if order == Order.INDEPENDENT and (rate is not None or workers != 1 or pauses is not None):
        raise click.UsageError("--rate, --workers and --pauses are a queue's: add --order fifo or newest")
    if durations is None and rate is not None:
        return Work(lognormal_of_mean(workers / rate, _QUEUE_SIGMA), Order(order), workers, pauses=pauses)
    return Work(durations or Durations("lognormal", (10.0, 0.7)), Order(order), workers, rate or inf, pauses)


def _at_the_least_limit(experiment: Experiment, policy: str, target_s: float, progress: Progress) -> Experiment:
    found = find_limit(
        experiment, POLICIES[policy], p99_s=target_s, tell=lambda limit: progress.show(f"simulating {limit} ...")
    )
    progress.clear()
    if found is None:
        most = experiment.at(most_calls(experiment)).limit
        raise click.ClickException(f"no limit up to {most} shows 99 % of the tasks within {seconds(target_s)}")
    return found


def _facts(experiment: Experiment, policy: str, runs: list[Run], target_s: float | None) -> dict[str, Any]:
    return {
        "policy": policy,
        "seed": experiment.seed,
        "accounts": experiment.accounts,
        "limit": str(experiment.limit),
        "share": experiment.share,
        "metrics_hint": experiment.hinted,
        "target_p99_s": target_s,
        "result": asdict(experiment.summary(runs)),
        "clairvoyant": asdict(experiment.clairvoyant()),
    }


def _told(experiment: Experiment, policy: str, runs: list[Run], target_s: float | None) -> str:
    summary = experiment.summary(runs)
    told = [table(policy, summary, experiment.clairvoyant()), ""]
    if target_s is not None:
        told.append(f"{experiment.limit} is the least limit that shows 99 % of this load within {seconds(target_s)}.")
    return "\n".join([*told, conclusion(experiment.budget, summary)])
