"""Estimates are calibrated: about nine in ten tasks end before the time by which they are to end with that chance."""

from itertools import islice

import pytest

from relay.domain.adaptive import Adaptive
from relay.domain.budget import Limit
from relay.simulate.arrivals import Batches, Burst, Steady
from relay.simulate.durations import Durations, lognormal_of_mean
from relay.simulate.run import simulate
from relay.simulate.work import Order, Pauses, Work
from relay.simulate.world import Load

LIMIT = Limit(25, 5.0)
EVERY = 25  # picks between two samples
ONE_IN = 7  # tasks sampled

SEEDS = range(1, 11)  # several, as in one queue all estimates are off in the same direction

LOADS = {
    "independent": Load(Steady(2), Work(Durations("lognormal", (20.0, 0.7))), 100.0),
    "memoryless": Load(Steady(2), Work(Durations("exponential", (15.0,))), 200.0),
    "more than the budget": Load(Steady(6), Work(Durations("lognormal", (10.0, 0.7))), 60.0),
    "a queue": Load(Burst(250), Work(lognormal_of_mean(0.25, 0.5), Order.FIFO), 1.0),
    "a slow queue": Load(Burst(120), Work(lognormal_of_mean(1.0, 0.5), Order.FIFO), 1.0),
    "a queue that pauses": Load(
        Steady(2.5), Work(lognormal_of_mean(1 / 3.5, 0.5), Order.FIFO, pauses=Pauses(60, 10)), 200.0
    ),
    "four workers": Load(Burst(250), Work(lognormal_of_mean(1.0, 0.5), Order.FIFO, workers=4), 1.0),
    "eight workers": Load(Burst(250), Work(lognormal_of_mean(2.0, 0.5), Order.FIFO, workers=8), 1.0),
    "sixteen workers": Load(Burst(250), Work(lognormal_of_mean(4.0, 0.5), Order.FIFO, workers=16), 1.0),
    "four workers, nearly idle": Load(Steady(3), Work(lognormal_of_mean(4 / 3.5, 0.5), Order.FIFO, workers=4), 180.0),
    "all of one length": Load(Steady(2), Work(Durations("fixed", (20.0,))), 250.0),
    "batches": Load(Batches(100, 60), Work(lognormal_of_mean(0.25, 0.5), Order.FIFO), 120.0),
}


class Foreseeing(Adaptive):
    """Notes, now and then, by when it expects some of the pending tasks to end: (task, now, end)."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[int, float, float]] = []
        self._until_sample = EVERY

    def pick(self, *, now: float) -> str | None:
        self._until_sample -= 1
        if self._until_sample == 0:
            self._until_sample = EVERY
            for key in islice(self._candidates, 0, None, ONE_IN):
                self.noted.append((int(key), now, self.finished_by(key, now=now, chance=0.9) or now))
        return super().pick(now=now)


def kept(load: Load, seed: int) -> list[bool]:
    """Return, for each estimate of a task that had not ended yet, whether it ended by then."""
    world, picker = load.world(seed), Foreseeing()
    simulate(world, picker, LIMIT)
    lives = world.lives
    return [lives[number].final_at <= by for number, at, by in picker.noted if lives[number].final_at > at]


@pytest.mark.parametrize("name", LOADS)
def test_nine_in_ten_end_before_their_estimate(name: str) -> None:
    estimates = [each for seed in SEEDS for each in kept(LOADS[name], seed)]
    assert len(estimates) > 300
    assert 0.85 <= sum(estimates) / len(estimates) <= 0.95
