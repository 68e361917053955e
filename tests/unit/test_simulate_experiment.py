"""What an experiment comes to, in figures, in words and drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.budget import Limit
from relay.lanes.pending import Pending
from relay.simulate.arrivals import Burst, Steady
from relay.simulate.durations import Durations
from relay.simulate.experiment import Experiment, find_limit, least, most_calls
from relay.simulate.plot import plot
from relay.simulate.policies import POLICIES, PRODUCTION
from relay.simulate.run import Run, Seen
from relay.simulate.summary import percentile, summarize
from relay.simulate.telling import conclusion, seconds, table
from relay.simulate.work import Work
from relay.simulate.world import Load

LIMIT = Limit(25, 5.0)
TEN_SECONDS = Work(Durations("lognormal", (10.0, 0.7)))
STEADY = Experiment(Load(Steady(2.0), TEN_SECONDS, 60.0), LIMIT)
RUN = Run((Seen(0.0, 4.0, 5.0, 2), Seen(0.0, 6.0, 10.0, 3)), calls=5, refused=1, longest_unpolled_s=3.0)


def test_what_is_simulated_is_what_the_lanes_use() -> None:
    assert type(POLICIES[PRODUCTION](LIMIT)) is type(Pending().picker)


@given(threshold=st.integers(1, 500), most=st.integers(1, 500))
def test_the_least_that_suffices_is_found_if_there_is_one(threshold: int, most: int) -> None:
    assert least(lambda number: number >= threshold, most=most) == (threshold if threshold <= most else None)


@given(lags=st.lists(st.integers(0, 9), min_size=100, max_size=100), targets=st.tuples(st.integers(), st.integers()))
def test_a_laxer_target_never_needs_more(lags: list[int], targets: tuple[int, int]) -> None:
    def needed(target: int) -> int | None:
        return least(lambda number: lags[number - 1] <= target, most=100)

    strict, lax = map(needed, sorted(targets))
    assert strict is None or (lax is not None and lax <= strict)


def test_a_laxer_p99_never_needs_a_greater_limit() -> None:
    tried: list[Limit] = []
    found = [
        find_limit(STEADY, POLICIES[PRODUCTION], p99_s=target_s, tell=tried.append) for target_s in (0.001, 3.0, 30.0)
    ]
    calls = [most_calls(STEADY) + 1 if each is None else each.limit.calls for each in found]
    assert found[0] is None
    assert calls == sorted(calls, reverse=True)
    assert calls[1] > calls[-1]
    assert max(limit.calls for limit in tried) == most_calls(STEADY) == 1_000


def test_percentiles_lie_between_the_values_about_them() -> None:
    assert [percentile([1.0, 2.0, 4.0], percent) for percent in (0, 50, 75, 100)] == [1.0, 2.0, 3.0, 4.0]
    assert percentile([], 99) == 0.0


def test_a_summary_is_over_all_accounts() -> None:
    summary = summarize([RUN, RUN], LIMIT)
    assert (summary.tasks, summary.mean_s, summary.p50_s, summary.max_s) == (4, 2.5, 2.5, 4.0)
    assert (summary.polls_per_task, summary.refusals, summary.longest_unpolled_s) == (2.5, 2, 3.0)
    assert (summary.budget_used, summary.lasted_s) == (0.1, 10.0)


def test_accounts_are_independent_runs_of_seeds_in_a_row() -> None:
    two = Experiment(STEADY.load, LIMIT, accounts=2, seed=7).runs(POLICIES[PRODUCTION])
    one_by_one = [Experiment(STEADY.load, LIMIT, seed=seed).runs(POLICIES[PRODUCTION])[0] for seed in (7, 8)]
    assert two == one_by_one


def test_the_share_is_what_the_clairvoyant_gets_too() -> None:
    load = Load(Burst(100), TEN_SECONDS, 1.0)
    half, whole = (Experiment(load, LIMIT, share=share).clairvoyant().mean_s for share in (0.5, 1.0))
    assert half > whole


@pytest.mark.parametrize(("value", "text"), [(0.0814, "0.08 s"), (12.34, "12.3 s"), (1234.5, "1,234 s")])
def test_seconds_are_written_to_three_places(value: float, text: str) -> None:
    assert seconds(value) == text


def test_a_table_and_a_sentence_tell_the_summary() -> None:
    summary = summarize([RUN], LIMIT)
    lines = table("some policy", summary, summary).splitlines()
    assert lines[0].split() == ["some", "policy", "clairvoyant"]
    assert lines[2].split() == ["lag", "mean", "2.50", "s", "2.50", "s"]
    assert conclusion(LIMIT, summary) == (
        "At 25/5 this load is seen with a mean lag of 2.50 s, and 99 % of it within 3.97 s; the budget is used to 10 %."
    )


def test_a_plot_shows_mean_and_greatest_lag_where_tasks_ended() -> None:
    drawn = plot([RUN], width=12, height=4).splitlines()
    rows = [line.partition("│")[2].ljust(12) for line in drawn[1:5]]
    assert [row[8] for row in rows] == [" ", " ", "█", "█"]
    assert [row[11] for row in rows] == ["█"] * 4
    assert drawn[-1].split() == ["0", "s", "6", "s"]
    assert {row[0] for row in rows} == {" "}
