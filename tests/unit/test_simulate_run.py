"""Runs of the simulator: laws that hold in any world, and a few worlds whose outcome is known."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.domain.answer import AnswerKind
from relay.domain.backlog import EVERY, LEAST_PENDING, Backlog
from relay.domain.budget import Limit
from relay.domain.polling import RoundRobin
from relay.simulate.clairvoyant import clairvoyant
from relay.simulate.grants import AHEAD_S, Grants
from relay.simulate.policies import POLICIES, PRODUCTION, Policy
from relay.simulate.run import Run, simulate
from relay.simulate.upstream import THROTTLED, Upstream
from relay.simulate.world import Life, RoundTrip, World
from tests.bench.policies import BASELINES

LAW = settings(max_examples=60, deadline=None)
ROUNDING_S = 1e-6
LIMITS = st.builds(Limit, st.integers(1, 12), st.sampled_from([1.0, 2.0, 5.0]))
POLICY = st.sampled_from(list((POLICIES | BASELINES).values()))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    tasks = draw(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 40)), min_size=1, max_size=25))
    lives = sorted(Life(at, at + work_s) for at, work_s in tasks)
    return World(tuple(lives), RoundTrip(draw(st.sampled_from([0.0, 0.08, 1.3])), draw(st.sampled_from([0.0, 0.05]))))


def mean_lag_s(run: Run) -> float:
    return sum(task.lag_s for task in run.seen) / len(run.seen)


@LAW
@given(world=worlds(), limit=LIMITS, policy=POLICY)
def test_every_end_is_seen_and_no_call_is_refused(world: World, limit: Limit, policy: Policy) -> None:
    run = simulate(world, policy(limit), limit)
    assert run.refused == 0
    assert all(task.lag_s >= 0 and task.polls >= 1 for task in run.seen)
    assert run.calls == sum(task.polls for task in run.seen)


@LAW
@given(world=worlds(), limit=LIMITS, policy=POLICY, seed=st.integers(0, 9))
def test_the_same_seed_gives_the_same_run(world: World, limit: Limit, policy: Policy, seed: int) -> None:
    first, second = (simulate(world, policy(limit), limit, seed=seed) for _ in range(2))
    assert first == second


@LAW
@given(world=worlds(), limit=LIMITS, policy=POLICY)
def test_nobody_beats_the_clairvoyant_but_by_a_call_on_its_way(world: World, limit: Limit, policy: Policy) -> None:
    run, bound = simulate(world, policy(limit), limit), clairvoyant(world, limit)
    half_a_round_trip_s = world.round_trip.rtt_s / 2
    assert mean_lag_s(run) >= mean_lag_s(bound) - half_a_round_trip_s - ROUNDING_S
    assert run.lasted_s >= bound.lasted_s - half_a_round_trip_s - ROUNDING_S


@LAW
@given(limit=LIMITS, gaps_s=st.lists(st.floats(0, 2), max_size=80))
def test_the_exact_window_admits_the_limit_and_no_more(limit: Limit, gaps_s: list[float]) -> None:
    upstream, now, admitted_at = Upstream(limit), 0.0, list[float]()
    for gap_s in gaps_s:
        now += gap_s
        counted = sum(now < at + limit.window_s for at in admitted_at)
        admitted = upstream.admits(now=now)
        assert admitted == (counted < limit.calls)
        if admitted:
            admitted_at.append(now)
    for first, one_too_many in zip(admitted_at, admitted_at[limit.calls :], strict=False):
        assert one_too_many - first >= limit.window_s - ROUNDING_S


def test_the_upstream_says_how_a_task_stands_when_the_call_arrives() -> None:
    upstream = Upstream(Limit(3, 5.0))
    kinds = [upstream.ask(final_at=2.0, now=now).kind for now in (1.9, 2.0, 2.1, 2.2)]
    assert kinds == [AnswerKind.PENDING, AnswerKind.FINAL, AnswerKind.FINAL, AnswerKind.THROTTLED]
    assert upstream.refused == 1


def test_the_upstream_says_how_a_queue_stands_when_the_call_arrives() -> None:
    upstream, ends_at = Upstream(Limit(1, 5.0)), [39.0, 40.0, 41.0, 100.0, 100.1]
    assert upstream.ask_backlog(ends_at, now=100.0) == Backlog(pending=1, per_s=2 / 60)
    assert upstream.ask_backlog(ends_at, now=100.0) == THROTTLED
    assert upstream.refused == 1


@LAW
@given(world=worlds(), limit=LIMITS)
def test_hints_are_paid_from_the_same_budget(world: World, limit: Limit) -> None:
    run = simulate(world, POLICIES[PRODUCTION](limit), limit, hinted=True)
    hints = run.calls - sum(task.polls for task in run.seen)
    assert run.refused == 0
    assert 0 <= hints <= run.calls / EVERY


def test_a_hint_comes_of_a_backlog_and_only_if_it_is_asked_for() -> None:
    world = World((Life(0.0, 60.0),) * (2 * LEAST_PENDING), RoundTrip(0.08))
    for hinted, policy, hints in ((True, PRODUCTION, True), (False, PRODUCTION, False), (True, "round-robin", False)):
        run = simulate(world, POLICIES[policy](Limit(25, 5.0)), Limit(25, 5.0), hinted=hinted)
        assert (run.calls > sum(task.polls for task in run.seen)) == hints


def test_a_task_alone_is_polled_at_the_pace_until_its_end_is_seen() -> None:
    run = simulate(World((Life(0.0, 1.0),), RoundTrip(0.08)), RoundRobin(), Limit(25, 5.0))
    (task,) = run.seen
    assert task.polls == 6  # at 0, 0.2, ... and 1.0, which arrives at 1.04
    assert task.lag_s == pytest.approx(0.08, abs=0.005)
    assert run.longest_unpolled_s == pytest.approx(0.2, abs=0.005)


def test_a_full_window_is_used_up() -> None:
    world = World((Life(0.0, 600.0),) * 40, RoundTrip(0.08))
    run = simulate(world, RoundRobin(), Limit(25, 5.0))
    assert run.calls >= 0.98 * 5 * 600


def test_the_relay_keeps_to_its_share() -> None:
    world = World((Life(0.0, 100.0),) * 9)
    half, whole = (simulate(world, RoundRobin(), Limit(20, 5.0), share=share).calls for share in (0.5, 1.0))
    assert half == pytest.approx(whole / 2, rel=0.05)


def test_somebody_elses_calls_can_get_the_relay_refused() -> None:
    lives = (Life(0.0, 100.0),) * 5
    assert simulate(World(lives, others_per_s=3.0), RoundRobin(), Limit(10, 5.0)).refused > 0


def test_an_idle_lane_wakes_up_for_the_next_task() -> None:
    run = simulate(World((Life(0.0, 1.0), Life(5_000.0, 5_001.0))), RoundRobin(), Limit(25, 5.0))
    assert all(task.lag_s < 0.3 for task in run.seen)
    assert run.calls < 20


def test_a_world_without_tasks_is_over_at_once() -> None:
    assert simulate(World(()), RoundRobin(), Limit(25, 5.0)) == Run((), 0, 0, 0.0)
    assert Run((), 0, 0, 0.0).lasted_s == 0.0


class Boaster(RoundRobin):
    """Promises a task and gives none."""

    def pick(self, *, now: float) -> str | None:  # noqa: ARG002 - it never does
        return None


def test_a_picker_that_breaks_its_promise_is_found_out() -> None:
    with pytest.raises(RuntimeError, match="the picker promised a task"):
        simulate(World((Life(0.0, 1.0),)), Boaster(), Limit(25, 5.0))


def test_grants_are_a_pace_apart_and_only_so_far_ahead() -> None:
    grants = Grants(Limit(25, 5.0)).turn(100.0, ended=[], want=99, earliest_in_s=0.1)
    assert [grant.in_s for grant in grants] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9, 1.1])
    assert grants[-1].in_s <= AHEAD_S


def test_a_slot_is_granted_again_a_window_after_its_answer() -> None:
    grants = Grants(Limit(1, 5.0))
    (first,) = grants.turn(100.0, ended=[], want=9, earliest_in_s=0.0)
    assert grants.turn(101.0, ended=[(first.till_ms, 4_500, 1)], want=9, earliest_in_s=0.0) == []
    (second,) = grants.turn(104.5, ended=[], want=9, earliest_in_s=0.0)
    assert second.in_s == 1.0
    assert second.till_ms > first.till_ms


@LAW
@given(limit=LIMITS, answers_in_s=st.lists(st.floats(0, 8), min_size=1, max_size=40))
def test_no_more_slots_are_held_than_the_limit_has(limit: Limit, answers_in_s: list[float]) -> None:
    grants, now, holds = Grants(limit), 0.0, list[tuple[float, float]]()
    for answer_in_s in answers_in_s:
        for grant in grants.turn(now, ended=[], want=limit.calls, earliest_in_s=0.0):
            holds.append((now + grant.in_s, grant.till_ms / 1000))
        now += answer_in_s
    for start_at, _ in holds:
        assert sum(start <= start_at < till for start, till in holds) <= limit.calls
    assert all(till - start >= limit.window_s for start, till in holds)
