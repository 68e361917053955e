"""The sandbox's tasks: how long they take, in which order, and as what they end."""

from collections import Counter
from math import inf
from statistics import mean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox.behaviour import Behaviour, TaskPlan
from relay.sandbox.lags import DetectionLags
from relay.sandbox.lives import Lives
from relay.sandbox.plan import Durations, Outcome, WorkQueue, dice, draw_outcome, life_of

seconds = st.decimals(0, 999_999_999, places=6).map(float)
some_durations = st.one_of(
    st.builds(Durations, st.sampled_from(["fixed", "exponential"]), st.tuples(seconds)),
    st.builds(Durations, st.just("uniform"), st.tuples(seconds, seconds)),
    st.builds(Durations, st.just("lognormal"), st.tuples(seconds, st.decimals(0, 9, places=6).map(float))),
)


def drawn(text: str) -> list[float]:
    random = dice(1, "test")
    return [Durations.parse(text).draw_s(random) for _ in range(4000)]


@given(durations=some_durations)
def test_durations_read_back_what_they_write(durations: Durations) -> None:
    assert Durations.parse(str(durations)) == durations


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fixed",
        "fixed:",
        "fixed:-1",
        "fixed:1,2",
        "uniform:1",
        "lognormal:1,2,3",
        "pareto:1",
        "fixed:x",
        "lognormal:1,10",
    ],
)
def test_durations_that_are_none_are_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="durations are"):
        Durations.parse(text)


def test_each_distribution_has_its_shape() -> None:
    assert set(drawn("fixed:2")) == {2.0}
    assert 1 <= min(drawn("uniform:1,5")) < max(drawn("uniform:1,5")) <= 5
    assert mean(drawn("exponential:10")) == pytest.approx(10, rel=0.1)
    assert median(drawn("lognormal:10,0.7")) == pytest.approx(10, rel=0.1)


def test_the_same_seed_and_topic_give_the_same_dice() -> None:
    assert dice(1, "a").random() == dice(1, "a").random()
    assert dice(1, "a").random() != dice(2, "a").random()
    assert dice(1, "a").random() != dice(1, "b").random()


def test_one_worker_takes_tasks_one_after_another() -> None:
    queue = WorkQueue(workers=1, rate_per_s=None)
    assert [queue.finish_at(0, 2), queue.finish_at(0, 2), queue.finish_at(9, 2)] == [2, 4, 11]


def test_more_workers_share_the_queue() -> None:
    queue = WorkQueue(workers=2, rate_per_s=None)
    assert [queue.finish_at(0, 4), queue.finish_at(0, 1), queue.finish_at(0, 1)] == [4, 1, 2]


def test_a_rate_spaces_the_starts() -> None:
    queue = WorkQueue(workers=100, rate_per_s=4)
    assert [queue.finish_at(0, 0) for _ in range(4)] == [0, 0.25, 0.5, 0.75]


@given(works_s=st.lists(st.floats(0, 10), min_size=1, max_size=30), workers=st.integers(1, 4))
def test_no_queue_works_on_more_tasks_at_a_time_than_it_has_workers(works_s: list[float], workers: int) -> None:
    queue = WorkQueue(workers=workers, rate_per_s=None)
    assert max(queue.finish_at(0, work_s) for work_s in works_s) >= sum(works_s) / workers * (1 - 1e-9)


def test_outcomes_come_as_often_as_their_weights_say() -> None:
    random = dice(1, "test")
    mix = {Outcome.SUCCESS: 6.0, Outcome.FAILURE: 2.0, Outcome.ERROR: 0.0}
    counts = Counter(draw_outcome(mix, random) for _ in range(4000))
    assert counts[Outcome.SUCCESS] == pytest.approx(3000, rel=0.05)
    assert counts[Outcome.ERROR] == 0


@pytest.mark.parametrize(
    ("outcome", "status"), [(Outcome.SUCCESS, "Success"), (Outcome.FAILURE, "FAILURE"), (Outcome.ERROR, "ERROR")]
)
def test_a_task_is_in_queue_until_the_very_instant_it_ends(outcome: Outcome, status: str) -> None:
    life = life_of(outcome, 10, retries=1, retry_scale=1)
    assert [life.status_at(now) for now in (0, 9.999, 10, 1e9)] == ["In-Queue", "In-Queue", status, status]


def test_a_mended_error_shows_until_the_retry_that_succeeds() -> None:
    life = life_of(Outcome.ERROR_THEN_SUCCESS, 10, retries=2, retry_scale=0.1)
    assert [life.status_at(now) for now in (9, 10, 24.9, 25)] == ["In-Queue", "ERROR", "ERROR", "Success"]


def test_a_life_hangs_on_seed_and_id_not_on_the_order_of_submits() -> None:
    forwards, backwards = Lives(Behaviour()), Lives(Behaviour())
    ids = [f"task-{number}" for number in range(20)]
    assert [forwards.begin(name, TaskPlan(), 0) for name in ids] == [
        backwards.begin(name, TaskPlan(), 0) for name in reversed(ids)
    ][::-1]


def test_a_plan_overrides_what_would_be_drawn() -> None:
    lives = Lives(Behaviour(stuck=1))
    life = lives.begin("a", TaskPlan(finish_in_s=1.5, status="FAILURE", error_in_s=0.5), 100)
    assert [life.status_at(now) for now in (100, 100.5, 101.5)] == ["In-Queue", "ERROR", "FAILURE"]


@pytest.mark.parametrize(("stuck", "plan"), [(1.0, TaskPlan()), (0.0, TaskPlan(stuck=True))])
def test_a_stuck_task_never_ends(stuck: float, plan: TaskPlan) -> None:
    assert Lives(Behaviour(stuck=stuck)).begin("a", plan, 0).final_at == inf


def test_a_new_behaviour_keeps_the_backlog_of_an_unchanged_queue() -> None:
    queueing = Behaviour.model_validate({"order": "fifo", "durations": "fixed:5"})
    lives = Lives(queueing)
    lives.begin("a", TaskPlan(), 0)
    assert lives.under(queueing.merged({"limit": "9/1"})).begin("b", TaskPlan(), 0).final_at == 10
    assert lives.under(queueing.merged({"workers": 2})).begin("c", TaskPlan(), 0).final_at == 5


def test_lags_are_summed_up_by_nearest_rank() -> None:
    lags = DetectionLags()
    assert lags.report()["p50"] is None
    for lag_s in range(1, 101):
        lags.record(float(lag_s))
    assert lags.report() == {"count": 100, "mean": 50.5, "p50": 50.0, "p99": 99.0, "max": 100.0}
