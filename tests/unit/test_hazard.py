"""A hazard learned from looks that tell only whether something has ended by now."""

from itertools import pairwise

import pytest

from relay.domain.hazard import EDGES_S, SURE_ODDS, Hazard, mean_time_to_hit, steady_worth


def taught(*, duration_s: float, every_s: float, tasks: int = 500) -> Hazard:
    """Return a hazard that has seen so many tasks of one duration, each looked at so often."""
    hazard = Hazard()
    looks = [every_s * number for number in range(int(duration_s / every_s) + 2)]
    for _ in range(tasks):
        for since, until in pairwise(looks):
            hazard.learn(since, until, finished=until >= duration_s)
    hazard.sum_up()
    return hazard


def test_nothing_learned_expects_an_end_at_the_scale_of_the_age() -> None:
    assert Hazard().chance(0, 1) == pytest.approx(0.5, abs=0.1)
    assert Hazard().chance(1_000, 2_000) == pytest.approx(0.5, abs=0.1)


def test_what_always_takes_as_long_is_expected_then() -> None:
    hazard = taught(duration_s=20, every_s=2)
    assert hazard.chance(0, 10) < 0.05
    assert hazard.chance(10, 24) > 0.9


def test_a_look_is_worth_most_where_an_end_is_expected() -> None:
    hazard = taught(duration_s=20, every_s=2)
    assert hazard.worth(19, 24) > 10 * hazard.worth(2, 7)


def test_an_estimate_is_the_inverse_of_the_chance() -> None:
    hazard = taught(duration_s=20, every_s=2)
    for chance in (0.1, 0.5, 0.9):
        assert hazard.chance(3, hazard.reached_at(3, chance)) == pytest.approx(chance)


def test_beyond_the_last_edge_it_goes_on() -> None:
    hazard = Hazard()
    hazard.learn(0, 10 * EDGES_S[-2], finished=True)
    assert hazard.reached_at(EDGES_S[-2], 0.9) > EDGES_S[-2]


@pytest.mark.parametrize("rate", [1e-9, 0.01, 1.0, 1e6])
def test_the_odds_of_a_steady_hazard_stay_finite(rate: float) -> None:
    assert 0 <= steady_worth(rate, 10) <= 10 * SURE_ODDS
    assert 0 < mean_time_to_hit(rate, 10) <= 5
