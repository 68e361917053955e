"""A long queue, and one that stands still: what is known of the front holds however long ago a task was looked at."""

from itertools import accumulate

import pytest

from relay.domain.adaptive import PROMISE_TURNS, SLOT_S, Adaptive
from relay.domain.budget import Limit
from relay.simulate.dice import dice
from relay.simulate.run import simulate
from relay.simulate.world import Life, World

LIMIT = Limit(25, 5.0)


def ends(tasks: int, *, per_s: float, since: float = 0.0, seed: int) -> list[float]:
    """Return when the tasks of a queue of one worker end, all submitted at 0."""
    random = dice(seed, "queue")
    return list(accumulate((random.lognormvariate(-0.125, 0.5) / per_s for _ in range(tasks)), initial=since))[1:]


def slowest_s(final_at: list[float]) -> float:
    """Return the greatest lag."""
    world = World(tuple(Life(0.0, at) for at in final_at))
    return max(task.lag_s for task in simulate(world, Adaptive(), LIMIT).seen)


@pytest.mark.parametrize("seed", [1, 2])
def test_one_whom_the_guard_has_looked_at_is_expected_when_its_turn_has_come(seed: int) -> None:
    final_at = ends(1_600, per_s=1.0, seed=seed)
    assert final_at[-1] > 1.2 * PROMISE_TURNS * len(final_at) * SLOT_S
    assert slowest_s(final_at) < 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("standing_s", [150.0, 600.0])
def test_a_queue_that_stood_still_is_soon_seen_to_go_on(standing_s: float, seed: int) -> None:
    before = ends(400, per_s=3.5, seed=seed)
    after = ends(400, per_s=3.5, since=before[-1] + standing_s, seed=seed + 10)
    assert slowest_s(before + after) < 15
