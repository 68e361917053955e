"""Worlds of the simulator: what comes when, and when it is done."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.domain.operations import RETRIES_S
from relay.simulate.arrivals import Batches, Burst, Steady, parse_arrivals
from relay.simulate.dice import dice
from relay.simulate.durations import Durations, lognormal_of_mean, parse_seconds
from relay.simulate.tails import GIVEN_UP_S, Tails
from relay.simulate.work import Order, Pauses, Span, Work
from relay.simulate.world import Load, RoundTrip

TWO_SECONDS = Durations("fixed", (2.0,))


@pytest.mark.parametrize("text", ["3/s", "0.5/s", "burst:5000", "batches:200/100s"])
def test_arrivals_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_arrivals(text)) == text


@pytest.mark.parametrize("text", ["", "3", "3/m", "-1/s", "0/s", "burst:0", "burst:many", "batches:5/0s", "batches:5"])
def test_other_arrivals_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write 3/s"):
        parse_arrivals(text)


def test_steady_arrivals_come_at_their_rate() -> None:
    arrived_at = Steady(3.0).draw(dice(1, "arrivals"), until_s=10_000)
    assert arrived_at == sorted(arrived_at)
    assert len(arrived_at) == pytest.approx(30_000, rel=0.02)


def test_a_burst_comes_at_once_and_batches_come_again() -> None:
    assert Burst(3).draw(dice(1, "arrivals"), until_s=9) == [0.0, 0.0, 0.0]
    assert Batches(2, 5).draw(dice(1, "arrivals"), until_s=11) == [0.0, 0.5, 5.0, 5.5, 10.0, 10.5]


@pytest.mark.parametrize(
    ("text", "mean_s"),
    [("fixed:3", 3.0), ("uniform:1,5", 3.0), ("exponential:4", 4.0), ("lognormal:10,0.7", 10 * 1.2776)],
)
def test_durations_are_those_of_their_distribution(text: str, mean_s: float) -> None:
    durations, random = Durations.parse(text), dice(1, "work")
    assert str(durations) == text
    drawn = [durations.draw_s(random) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mean_s, rel=0.02)


@pytest.mark.parametrize("text", ["", "fixed", "fixed:", "fixed:-1", "uniform:1", "normal:1,2", "lognormal:1,2,3"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write fixed:S"):
        Durations.parse(text)


@pytest.mark.parametrize(("text", "seconds"), [("80ms", 0.08), ("2 s", 2.0), ("1.5", 1.5), ("2min", 120.0)])
def test_times_are_read_with_their_units(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


def test_a_lognormal_can_be_named_by_its_mean() -> None:
    durations, random = lognormal_of_mean(4.0, 0.5), dice(1, "work")
    assert sum(durations.draw_s(random) for _ in range(20_000)) / 20_000 == pytest.approx(4.0, rel=0.02)


def ends(work: Work, *submitted_at: float) -> list[float]:
    return [span.end_at for span in work.spans(submitted_at, dice(1, "work"))]


def test_independent_tasks_do_not_wait_for_each_other() -> None:
    assert ends(Work(TWO_SECONDS), 0, 0, 1) == [2, 2, 3]


def test_a_queue_works_in_order_with_all_its_workers() -> None:
    assert ends(Work(TWO_SECONDS, Order.FIFO), 0, 0, 1, 9) == [2, 4, 6, 11]
    assert ends(Work(TWO_SECONDS, Order.FIFO, workers=2), 0, 0, 1, 9) == [2, 2, 4, 11]


def test_a_queue_starts_no_more_than_its_rate() -> None:
    assert ends(Work(TWO_SECONDS, Order.FIFO, workers=9, starts_per_s=4.0), 0, 0, 0) == [2, 2.25, 2.5]


def test_newest_first_serves_who_came_last() -> None:
    assert ends(Work(TWO_SECONDS, Order.NEWEST), 0, 0.5, 1) == [2, 6, 4]


@settings(deadline=None)
@given(seed=st.integers(0, 99), order=st.sampled_from([Order.FIFO, Order.NEWEST]), workers=st.integers(1, 3))
def test_a_paused_queue_is_late_but_never_early(seed: int, order: Order, workers: int) -> None:
    submitted_at = Steady(1.0).draw(dice(seed, "arrivals"), until_s=60)
    going, halting = (
        Work(TWO_SECONDS, order, workers, pauses=pauses).spans(submitted_at, dice(seed, "work"))
        for pauses in (None, Pauses(20.0, 5.0))
    )
    assert all(span.end_at >= span.start_at >= at for at, span in zip(submitted_at, halting, strict=True))
    assert sum(span.end_at for span in halting) >= sum(span.end_at for span in going) - 1e-6


def test_retried_and_stuck_tasks_end_late() -> None:
    def final_at(tails: Tails) -> float:
        return tails.final_at([0.0], [Span(1.0, 4.0)], dice(1, "tails"))[0]

    assert final_at(Tails()) == 4.0
    assert final_at(Tails(retried=1.0)) in {4.0 + retry_s + 3.0 for retry_s in RETRIES_S}
    assert final_at(Tails(stuck=1.0)) == GIVEN_UP_S


def test_a_load_gives_the_same_world_for_the_same_seed_alone() -> None:
    load = Load(Steady(2.0), Work(TWO_SECONDS, Order.FIFO, starts_per_s=inf), 60.0, Tails(0.1, 0.1))
    assert load.world(1) == load.world(1) != load.world(2)


def test_jitter_only_ever_delays() -> None:
    random = dice(1, "ways")
    assert RoundTrip(0.08).way_s(random) == 0.04
    assert min(RoundTrip(0.08, 0.05).way_s(random) for _ in range(100)) >= 0.04
