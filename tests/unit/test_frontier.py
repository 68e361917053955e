"""What looks at a queue's front tell of its pace, its workers and those who stray."""

from math import inf

import pytest

from relay.domain.frontier import RANKS, Front, RankRates, Throughput, ended_at


def test_a_miss_at_the_front_says_that_it_has_not_come_so_far() -> None:
    front = Front(strays=1, overtaken=100, misses=1)
    front.learn_first_look(100, 101, finished=False)
    assert front.passed_at == pytest.approx(101, abs=0.1)


def test_a_miss_after_a_long_time_met_a_stray() -> None:
    front = Front(strays=1, overtaken=10, misses=1)
    front.learn_first_look(100, 130, finished=False)
    assert front.passed_at == pytest.approx(100, abs=0.1)


def test_many_misses_in_a_row_did_not_all_meet_strays() -> None:
    front = Front(strays=1, overtaken=10, misses=40)
    front.learn_first_look(100, 130, finished=False)
    assert front.passed_at == pytest.approx(130, abs=0.1)


def test_with_one_worker_only_the_first_is_expected_to_end() -> None:
    ranks = RankRates()
    for _ in range(200):
        ranks.learn(0, 0.25, finished=True)
        for rank in range(1, RANKS):
            ranks.learn(rank, 0.25, finished=False)
    assert ranks.rate(0) > 50 * max(ranks.rate(rank) for rank in range(1, RANKS + 1))


def test_many_tasks_take_their_mean_time_and_the_more_certain_the_longer() -> None:
    throughput = Throughput()
    for number in range(2_000):
        throughput.learn_advance(1, 0.0, 1_000 + number / 4)
    assert needed_s(throughput, 400, chance=0.5) == pytest.approx(100, rel=0.02)
    assert needed_s(throughput, 400, chance=0.9) > needed_s(throughput, 400, chance=0.5)


def test_an_idle_time_is_not_held_against_the_upstream() -> None:
    busy, idle = Throughput(), Throughput()
    for number in range(1, 100):
        busy.learn_advance(1, 0.0, number)
        idle.learn_advance(1, 100 * number - 1, 100 * number)
    assert needed_s(idle, 10, chance=0.5) == pytest.approx(needed_s(busy, 10, chance=0.5))


def test_what_was_seen_unfinished_later_ends_later() -> None:
    throughput = Throughput()
    for number in range(1, 100):
        throughput.learn_advance(1, 0.0, number)
    at = throughput.last_at
    unseen, seen = (
        throughput.passed_by(10, submitted_at=0.0, unfinished_at=unfinished_at, chance=0.9)
        for unfinished_at in (0.0, at + 9.5)
    )
    overdue = throughput.passed_by(10, submitted_at=0.0, unfinished_at=at + 30, chance=0.9)
    assert at + 9 < unseen < seen < at + 30 < overdue < at + 33


def test_what_stands_still_goes_on_standing_still_as_long_as_it_has() -> None:
    throughput = Throughput()
    for number in range(1, 100):
        throughput.learn_advance(1, 0.0, number)
    throughput.learn_standstill(0.0, throughput.last_at + 1)  # no longer than a gap can be
    assert needed_s(throughput, 1, chance=0.5) < 3
    throughput.learn_standstill(0.0, throughput.last_at + 60)
    assert needed_s(throughput, 1, chance=0.5) == pytest.approx(120, rel=0.05)
    assert needed_s(throughput, 1, chance=0.9) == pytest.approx(600, rel=0.05)
    throughput.learn_advance(1, 0.0, throughput.last_at + 100)
    assert needed_s(throughput, 1, chance=0.9) < 60


def test_the_longer_it_stands_still_the_less_it_is_expected_to_go_on_within_a_second() -> None:
    throughput = Throughput()
    for number in range(1, 100):
        throughput.learn_advance(1, 0.0, number)
    throughput.learn_standstill(0.0, throughput.last_at + 1)  # no longer than a gap can be
    assert throughput.resuming_rate == inf
    throughput.learn_standstill(0.0, throughput.last_at + 60)
    assert throughput.resuming_rate == pytest.approx(1 / 60)
    throughput.learn_advance(1, 0.0, throughput.last_at + 61)
    assert throughput.resuming_rate == inf


def test_estimates_that_did_not_hold_make_the_next_ones_wider_and_no_less_likely_in_the_middle() -> None:
    throughput = Throughput()
    for number in range(1, 100):
        throughput.learn_advance(1, 0.0, number)
    median_s, late_s = (needed_s(throughput, 10, chance=chance) for chance in (0.5, 0.9))
    for kept in [False, True, True, False, False]:
        throughput.learn_outcome(kept=kept, chance=0.9)
    assert needed_s(throughput, 10, chance=0.9) - median_s > 2 * (late_s - median_s)
    assert needed_s(throughput, 10, chance=0.5) == pytest.approx(median_s)
    for _ in range(100):
        throughput.learn_outcome(kept=True, chance=0.9)
    assert median_s < needed_s(throughput, 10, chance=0.9) < late_s


def test_a_task_ended_when_its_hazard_makes_it_likely_not_when_it_was_looked_at() -> None:
    assert ended_at(10.0, 100.0, 200.0) == pytest.approx(100, abs=0.1)
    assert 100 < ended_at(1e-9, 100.0, 200.0) < 150


def needed_s(throughput: Throughput, tasks: int, *, chance: float) -> float:
    passed_at = throughput.passed_by(tasks, submitted_at=0.0, unfinished_at=0.0, chance=chance)
    return passed_at - throughput.last_at
