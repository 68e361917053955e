"""A hazard learned from looks that tell only whether something has ended by now."""

from itertools import pairwise

import pytest

from relay.domain.hazard import EDGES_S, SURE_ODDS, Hazard, mean_time_to_hit, steady_worth
from relay.domain.operations import RETRIES_S


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
    assert Hazard().chance(200, 400) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("retry_s", RETRIES_S)
def test_nothing_learned_expects_an_end_with_a_retry(retry_s: int) -> None:
    hazard = Hazard()
    with_it, after_it = hazard.chance(0.97 * retry_s, 1.03 * retry_s), hazard.chance(1.03 * retry_s, 1.09 * retry_s)
    assert with_it > 4 * after_it


def test_what_always_takes_as_long_is_expected_then() -> None:
    hazard = taught(duration_s=20, every_s=2)
    assert hazard.chance(0, 10) < 0.05
    assert hazard.chance(10, 24) > 0.9


def test_a_look_is_worth_most_where_an_end_is_expected() -> None:
    hazard = taught(duration_s=20, every_s=2)
    assert hazard.worth(19, 24) > 10 * hazard.worth(2, 7)


@pytest.mark.parametrize("retry_s", RETRIES_S)
def test_the_vendors_retries_stand_out_from_what_lies_around_them(retry_s: int) -> None:
    """Looked at as seldom as every tenth of their age, tasks that end with a retry are expected just then."""
    hazard = Hazard()
    for number in range(300):
        until = retry_s * (0.975 + 0.05 * (number % 20) / 20)
        hazard.learn(0.9 * until, until, finished=False)
        hazard.learn(until, 1.03 * retry_s, finished=True)
    hazard.sum_up()
    before, at = ((since * retry_s, until * retry_s) for since, until in ((0.9, 0.965), (0.97, 1.03)))
    assert hazard.chance(*at) > 0.7
    assert hazard.chance(*before) < 0.1


def looks_to_forget(hazard: Hazard) -> int:
    """Return after how many vain looks at tasks of eight seconds it expects little of them."""
    looks = 0
    while hazard.chance(2, 8) > 0.2 and looks < 10_000:
        hazard.doubt(hazard.chance(2, 8), finished=False)
        hazard.learn(2, 8, finished=False)
        looks += 1
    return looks


def test_what_is_refuted_by_a_row_of_answers_is_forgotten_within_some_of_them() -> None:
    assert looks_to_forget(taught(duration_s=4, every_s=2, tasks=2_000)) < 100


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
