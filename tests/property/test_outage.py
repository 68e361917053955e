"""Laws of outages: a deadline is time in which the upstream could have been asked."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.outage import BRIDGED_S, DOWN_AFTER_S, KEPT, MAX_EXTENSION_S, Outages
from tests.support.builders import NOW

times = st.integers(0, 20_000).map(lambda second: NOW + second)
failures = st.lists(st.tuples(st.integers(1, 2_000), st.integers(1, 2_000)), max_size=40)


def told(failures: list[tuple[int, int]]) -> tuple[Outages, list[tuple[float, float]]]:
    """Return the outages after these (seconds well, seconds failing), told as a lane tells them, and as spans."""
    outages, spans, now = Outages(), [], NOW
    for well_s, failing_s in failures:
        began, now = now + well_s, now + well_s + failing_s
        for moment in (began + failing_s / 2, now):
            outages = outages.lasting(began, now=moment)
        spans.append((began, now))
    return outages, spans


def overlap(spans: list[tuple[float, float]], since: float, until: float) -> float:
    return sum(max(0.0, min(ended, until) - max(began, since)) for began, ended in spans)


@given(failures)
def test_outages_are_in_order_apart_and_few(failures: list[tuple[int, int]]) -> None:
    spans = told(failures)[0].spans
    assert len(spans) <= KEPT
    assert all(began < ended for began, ended in spans)
    assert all(later[0] > earlier[1] + BRIDGED_S for earlier, later in pairwise(spans))


@given(failures, times, st.integers(1, 10_000))
def test_the_time_in_which_the_upstream_was_up_is_that_of_the_deadline(
    failures: list[tuple[int, int]], since: float, allowed_s: int
) -> None:
    outages, _ = told(failures)
    passes_at = outages.extended(since + allowed_s, since=since)
    up_s = passes_at - since - overlap(list(outages.spans), since, passes_at)
    assert abs(up_s - allowed_s) < 1e-3
    assert since + allowed_s <= passes_at <= since + allowed_s + MAX_EXTENSION_S


@given(failures, times, st.integers(1, 10_000))
def test_no_outage_that_was_noticed_is_taken_from_a_deadline(
    failures: list[tuple[int, int]], since: float, allowed_s: int
) -> None:
    outages, spans = told(failures)
    noticed = [(began, ended) for began, ended in spans if ended - began >= DOWN_AFTER_S]
    passes_at = outages.extended(since + allowed_s, since=since)
    assert passes_at - since - overlap(noticed, since, passes_at) >= allowed_s - 1e-3


@given(failures, st.integers(1, 10_000))
def test_no_deadline_passes_while_the_upstream_is_down(failures: list[tuple[int, int]], allowed_s: int) -> None:
    outages, spans = told([*failures, (50, 500)])
    began, now = spans[-1]
    assert outages.present(now)
    assert outages.extended(began + allowed_s, since=NOW) > now


def test_an_outage_without_end_ends_deadlines_all_the_same() -> None:
    outages = Outages().lasting(NOW, now=NOW + 40 * 86_400)
    assert outages.extended(NOW + 10, since=NOW - 10) == NOW + 10 + MAX_EXTENSION_S


def test_a_moment_of_failures_is_no_outage_and_a_usable_answer_ends_one() -> None:
    assert Outages().lasting(NOW, now=NOW + DOWN_AFTER_S - 0.1) == Outages()
    outages = Outages().lasting(NOW, now=NOW + 100)
    assert outages.lasting(None, now=NOW + 200) == outages
    assert not outages.present(NOW + 101)


def test_a_change_of_holder_in_an_outage_is_a_part_of_it() -> None:
    outages = Outages().lasting(NOW, now=NOW + 100).lasting(NOW + 110, now=NOW + 200)
    assert outages == Outages(((NOW, NOW + 200),))
