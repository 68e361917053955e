"""Worlds to poll in: those of the project's notes on polling, under their names there, and some more."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from relay.domain.budget import Limit
from relay.simulate.arrivals import Arrivals, Batches, Burst, Steady
from relay.simulate.dice import dice
from relay.simulate.durations import Durations, lognormal_of_mean
from relay.simulate.tails import Tails
from relay.simulate.work import Order, Pauses, Work
from relay.simulate.world import Life, Load, RoundTrip, World

USUAL_LIMIT = Limit(25, 5.0)
HALF_AN_HOUR_S = 1800.0
MIX = Tails(retried=0.05, stuck=0.02)
NO_TAILS = Tails()
PAUSES = Pauses(every_s=120.0, lasting_s=20.0)


@dataclass(frozen=True)
class Scenario:
    """A world for each seed, the limit there, and what it is in a few words."""

    world: Callable[[int], World]
    about: str
    limit: Limit = USUAL_LIMIT


def lognormal(median_s: float, sigma: float = 0.7) -> Durations:
    return Durations("lognormal", (median_s, sigma))


def independent(
    arrivals: Arrivals,
    durations: Durations,
    tails: Tails = NO_TAILS,
    *,
    lasting_s: float = HALF_AN_HOUR_S,
    others_per_s: float = 0.0,
) -> Callable[[int], World]:
    return Load(arrivals, Work(durations), lasting_s, tails, others_per_s=others_per_s).world


def queue(
    arrivals: Arrivals,
    per_s: float,
    tails: Tails = NO_TAILS,
    *,
    workers: int = 1,
    order: Order = Order.FIFO,
    pauses: Pauses | None = None,
    lasting_s: float = HALF_AN_HOUR_S,
    jitter_s: float = 0.0,
) -> Callable[[int], World]:
    """Return the worlds of a queue whose workers together finish `per_s` tasks a second."""
    work = Work(lognormal_of_mean(workers / per_s, 0.5), order, workers, pauses=pauses)
    return Load(arrivals, work, lasting_s, tails, RoundTrip(jitter_s=jitter_s)).world


def two_kinds(seed: int) -> World:
    """Draw 70 % short and 30 % long tasks that nothing tells apart."""
    return together(
        independent(Steady(2.1), lognormal(2.0, 0.4))(2 * seed),
        independent(Steady(0.9), lognormal(60.0, 0.4))(2 * seed + 1),
    )


def switch(seed: int) -> World:
    """Draw independent tasks, then a jam of a queue, then independent ones again."""
    before, after = (independent(Steady(3), lognormal(10), lasting_s=900)(2 * seed + part) for part in (0, 1))
    random = dice(seed, "jam")
    submitted_at = sorted(random.uniform(0, 30) for _ in range(2400))
    spans = Work(lognormal_of_mean(0.25, 0.5), Order.FIFO).spans(submitted_at, random)
    jam = World(tuple(Life(at, span.end_at) for at, span in zip(submitted_at, spans, strict=True)))
    return together(before, later(jam, 900), later(after, 1600))


def drift(seed: int) -> World:
    """Draw tasks that take two seconds, and from the middle on forty."""
    fast, slow = (
        independent(Steady(3), lognormal(median_s), lasting_s=900)(2 * seed + part)
        for part, median_s in enumerate((2.0, 40.0))
    )
    return together(fast, later(slow, 900))


def later(world: World, by_s: float) -> World:
    lives = tuple(Life(life.submitted_at + by_s, life.final_at + by_s, life.operation) for life in world.lives)
    return replace(world, lives=lives)


def together(*worlds: World) -> World:
    """Return one world of the tasks of all."""
    return replace(worlds[0], lives=tuple(sorted(life for world in worlds for life in world.lives)))


NOTED = {
    "n1": Scenario(independent(Batches(1, 120), lognormal(10), lasting_s=24_000), "one pending at a time, median 10 s"),
    "iid2-1": Scenario(independent(Steady(1), lognormal(2)), "1/s, median 2 s"),
    "iid10-1": Scenario(independent(Steady(1), lognormal(10)), "1/s, median 10 s"),
    "iid10-3": Scenario(independent(Steady(3), lognormal(10)), "3/s, median 10 s"),
    "iid10-4.5": Scenario(independent(Steady(4.5), lognormal(10)), "4.5/s: 90 % of the budget arrives"),
    "iid60-3": Scenario(independent(Steady(3), lognormal(60)), "3/s, median 60 s"),
    "iid10-3-mix": Scenario(independent(Steady(3), lognormal(10), MIX), "3/s, 5 % retried, 2 % stuck"),
    "two-kinds": Scenario(two_kinds, "3/s: 70 % about 2 s, 30 % about 60 s"),
    "burst-iid10": Scenario(independent(Burst(5000), lognormal(10)), "5,000 at once, median 10 s"),
    "over8-iid10-mix": Scenario(
        independent(Steady(8), lognormal(10), MIX, lasting_s=600), "8/s for ten minutes, with tails"
    ),
    "fifo-steady": Scenario(queue(Steady(3), 3.5, pauses=PAUSES), "3/s into a queue of 3.5/s with pauses"),
    "fifo-steady-mix": Scenario(queue(Steady(3), 4.2, MIX, pauses=PAUSES), "3/s, queue of 4.2/s, pauses, tails"),
    "fifo-batches": Scenario(queue(Batches(200, 100), 4.0), "200 each 100 s into a queue of 4/s"),
    "burst-fifo20": Scenario(queue(Burst(5000), 20.0), "5,000 at once, queue of 20/s"),
    "burst-fifo4": Scenario(queue(Burst(5000), 4.0), "5,000 at once, queue of 4/s"),
    "burst-fifo4-mix": Scenario(queue(Burst(5000), 4.0, MIX, pauses=PAUSES), "5,000 at once, 4/s, pauses, tails"),
    "burst-par16": Scenario(queue(Burst(5000), 4.0, workers=16), "5,000 at once, 16 workers, 4/s in all"),
    "burst-par16-mix": Scenario(
        queue(Burst(5000), 4.0, MIX, workers=16, pauses=PAUSES), "the same with pauses and tails"
    ),
    "burst-par64-mix": Scenario(
        queue(Burst(5000), 4.0, MIX, workers=64, pauses=PAUSES), "64 workers, 4/s in all, pauses, tails"
    ),
    "over8-fifo-mix": Scenario(
        queue(Steady(8), 10.0, MIX, workers=4, pauses=PAUSES, lasting_s=600),
        "8/s for ten minutes, queue of 10/s, tails",
    ),
    "switch": Scenario(switch, "independent, then a jammed queue, then independent"),
    "lifo": Scenario(queue(Burst(2000), 4.0, order=Order.NEWEST), "2,000 at once, worked on from the newest, 4/s"),
    "jitter": Scenario(queue(Steady(4), 6.0, MIX, jitter_s=0.05), "4/s, queue of 6/s, 50 ms of jitter each way, tails"),
    "shared": Scenario(
        independent(Steady(1), lognormal(10), others_per_s=2.0), "1/s, and 2 calls/s are somebody else's"
    ),
    "big-fifo4.5-mix": Scenario(
        queue(Burst(100_000), 4.5, MIX, workers=4), "100,000 at once, 4 workers, 4.5/s, with tails"
    ),
}

MORE = {
    "all-alike": Scenario(independent(Steady(3), Durations("fixed", (20.0,))), "3/s, each takes 20 s"),
    "memoryless": Scenario(independent(Steady(3), Durations("exponential", (15.0,))), "3/s, exponential, mean 15 s"),
    "wide": Scenario(independent(Steady(1), lognormal(20, 1.6), lasting_s=3600), "1/s, median 20 s, sigma 1.6"),
    "waves": Scenario(
        independent(Batches(600, 300), lognormal(10), MIX), "600 each five minutes, independent, with tails"
    ),
    "drift": Scenario(drift, "3/s, two seconds at first, forty from the middle on"),
    "newest-steady": Scenario(queue(Steady(3), 3.5, order=Order.NEWEST), "3/s into 3.5/s, worked on from the newest"),
    "outages": Scenario(
        queue(Steady(2), 20.0, workers=200, pauses=Pauses(600, 200)), "2/s, 200 workers, stands for 200 s now and then"
    ),
    "small-limit": Scenario(
        independent(Steady(0.1), lognormal(30), MIX, lasting_s=7200), "0.1/s at one call in two seconds", Limit(5, 10.0)
    ),
    "par4-others": Scenario(
        lambda seed: replace(queue(Steady(2), 3.0, MIX, workers=4)(seed), others_per_s=0.5),
        "2/s, 4 workers, tails, and half a call a second is somebody else's",
    ),
}

SCENARIOS = NOTED | MORE
QUICK = ("n1", "iid10-3", "two-kinds", "fifo-steady", "burst-fifo4", "lifo", "drift")
