"""The stated constant: in no kind of world is the policy much worse than round robin, whatever it takes it for.

Each world is made to deceive: what looks like a queue is none, what was learned does not hold any more, or the answer
depends on having asked.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from relay.domain.adaptive import Adaptive
from relay.domain.budget import Limit
from relay.domain.polling import Picker, RoundRobin
from relay.simulate.arrivals import Burst, Steady
from relay.simulate.durations import Durations, lognormal_of_mean
from relay.simulate.run import simulate
from relay.simulate.work import Order, Work
from relay.simulate.world import Life, Load, World

NEVER_WORSE = 1.5  # times round robin, and what is lost on the way to the upstream
LIMIT = Limit(25, 5.0)
FIXED_10_S, AROUND_2_S, AROUND_30_S = (
    Durations("fixed", (10.0,)),
    lognormal_of_mean(2.0, 0.5),
    lognormal_of_mean(30, 0.5),
)
QUEUE_4_A_SECOND = lognormal_of_mean(0.25, 0.5)


def reversed_world(tasks: int, lasting_s: float) -> World:
    """Return tasks submitted at once that end in the opposite order."""
    return World(tuple(Life(0.0, lasting_s * (tasks - number) / tasks) for number in range(tasks)))


def one_after_the_other(first: World, second: World, *, at_s: float) -> World:
    """Return the tasks of the first world, and from an instant on those of the second."""
    later = (postponed(life, at_s) for life in second.lives)
    return replace(first, lives=tuple(sorted((*first.lives, *later))))


def postponed(life: Life, by_s: float) -> Life:
    return life._replace(submitted_at=life.submitted_at + by_s, final_at=life.final_at + by_s)


def burst(order: Order, durations: Durations, *, tasks: int = 300) -> World:
    return Load(Burst(tasks), Work(durations, order), 1.0).world(1)


def steady(order: Order, durations: Durations, *, per_s: float = 2.0, lasting_s: float = 300.0, seed: int = 1) -> World:
    return Load(Steady(per_s), Work(durations, order), lasting_s).world(seed)


WORLDS: dict[str, Callable[[], World]] = {
    "begun when asked, a hundred at once": lambda: burst(Order.WHEN_ASKED, FIXED_10_S, tasks=100),
    "begun when asked, three hundred at once": lambda: burst(Order.WHEN_ASKED, AROUND_30_S),
    "begun when asked, two seconds, 2/s": lambda: steady(Order.WHEN_ASKED, AROUND_2_S),
    "begun when asked, ten seconds, 2/s": lambda: steady(Order.WHEN_ASKED, FIXED_10_S),
    "begun when asked, thirty seconds, 1/s": lambda: steady(Order.WHEN_ASKED, AROUND_30_S, per_s=1.0),
    "the newest first, at once": lambda: burst(Order.NEWEST, QUEUE_4_A_SECOND),
    "the newest first, 3/s": lambda: steady(Order.NEWEST, QUEUE_4_A_SECOND, per_s=3.0),
    "reversed": lambda: reversed_world(300, 200.0),
    "reversed, slowly": lambda: reversed_world(100, 300.0),
    "independent, at once": lambda: burst(Order.INDEPENDENT, AROUND_30_S),
    "independent, 3/s": lambda: steady(Order.INDEPENDENT, AROUND_30_S, per_s=3.0),
    "independent, a minute, 3/s": lambda: steady(
        Order.INDEPENDENT, Durations("lognormal", (60.0, 0.7)), per_s=3.0, lasting_s=400.0, seed=11
    ),
    "a queue, then the newest first": lambda: one_after_the_other(
        burst(Order.FIFO, QUEUE_4_A_SECOND), burst(Order.NEWEST, QUEUE_4_A_SECOND), at_s=100.0
    ),
    "quick ones, then slow ones": lambda: one_after_the_other(
        steady(Order.INDEPENDENT, AROUND_2_S, per_s=3.0), steady(Order.INDEPENDENT, AROUND_30_S, per_s=3.0), at_s=300.0
    ),
    "slow ones, then quick ones": lambda: one_after_the_other(
        steady(Order.INDEPENDENT, AROUND_30_S, per_s=3.0), steady(Order.INDEPENDENT, AROUND_2_S, per_s=3.0), at_s=300.0
    ),
}


def mean_times(world: World, picker: Picker) -> tuple[float, float]:
    """Return the mean time (s) from the end of a task, and from its submission, until it is seen."""
    seen = simulate(world, picker, LIMIT).seen
    lag_s = sum(task.lag_s for task in seen) / len(seen)
    return lag_s, sum(task.detected_at - task.submitted_at for task in seen) / len(seen)


@pytest.mark.parametrize("name", WORLDS)
def test_it_is_never_much_worse_than_round_robin(name: str) -> None:
    world = WORLDS[name]()
    lag_s, until_seen_s = mean_times(world, Adaptive())
    round_robin_lag_s, round_robin_until_seen_s = mean_times(world, RoundRobin())
    assert lag_s <= NEVER_WORSE * round_robin_lag_s + world.round_trip.rtt_s
    assert until_seen_s <= NEVER_WORSE * round_robin_until_seen_s
