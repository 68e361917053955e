"""The sandbox's window: who is let in, and the worst window ever seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox.window import FixedWindow, Limit, SlidingWindow, Window, WorstWindow

limits = st.builds(Limit, calls=st.integers(1, 6), window_s=st.sampled_from([0.5, 1.0, 5.0]))
arrivals = st.lists(st.floats(0, 1.5), max_size=60).map(lambda gaps: [sum(gaps[:end]) for end in range(len(gaps))])


def most_in_any_window(instants: list[float], window_s: float) -> int:
    return max((sum(0 <= later - start < window_s for later in instants) for start in instants), default=0)


def let_in(window: Window, instants: list[float], limit: Limit, *, refused_spend: bool = False) -> list[float]:
    admitted = []
    for now in instants:
        if window.admits(now, limit):
            admitted.append(now)
        elif not refused_spend:
            continue
        window.spend(now)
    return admitted


@given(instants=arrivals, limit=limits, refused_spend=st.booleans())
def test_a_sliding_window_never_admits_more_than_the_limit_in_any_half_open_window(
    instants: list[float], limit: Limit, *, refused_spend: bool
) -> None:
    admitted = let_in(SlidingWindow(), instants, limit, refused_spend=refused_spend)
    assert most_in_any_window(admitted, limit.window_s) <= limit.calls


@given(instants=arrivals, limit=limits)
def test_a_sliding_window_refuses_nobody_whom_the_limit_has_room_for(instants: list[float], limit: Limit) -> None:
    window, admitted = SlidingWindow(), list[float]()
    for now in instants:
        room = sum(now - earlier < limit.window_s for earlier in admitted) < limit.calls
        assert window.admits(now, limit) is room
        if room:
            window.spend(now)
            admitted.append(now)


@given(instants=arrivals, window_s=st.sampled_from([0.5, 1.0, 5.0]))
def test_the_worst_window_is_what_a_brute_force_count_finds(instants: list[float], window_s: float) -> None:
    recorder = WorstWindow(window_s)
    for now in instants:
        recorder.record(now)
    assert recorder.worst == most_in_any_window(instants, window_s)


def test_the_worst_window_remembers_one_window_only() -> None:
    recorder = WorstWindow(1)
    for number in range(10_000):
        recorder.record(number * 0.25)
    assert (recorder.worst, len(recorder._recent)) == (4, 4)


def test_a_call_stops_to_weigh_exactly_one_window_later() -> None:
    window, limit = SlidingWindow(), Limit(1, 5)
    assert let_in(window, [0, 4.999, 5], limit) == [0, 5]


def test_refused_calls_that_spend_keep_the_window_shut() -> None:
    window, limit = SlidingWindow(), Limit(1, 5)
    assert let_in(window, [0, 4, 8, 12, 17], limit, refused_spend=True) == [0, 17]


def test_a_fixed_window_starts_again_at_each_boundary() -> None:
    assert let_in(FixedWindow(), [4.8, 4.9, 4.95, 5.0, 5.1, 5.2], Limit(2, 5)) == [4.8, 4.9, 5.0, 5.1]


@pytest.mark.parametrize("window", [SlidingWindow(), FixedWindow()])
def test_a_full_window_says_when_it_reopens(window: Window) -> None:
    limit = Limit(2, 5)
    assert let_in(window, [10.0, 11.0, 12.0], limit) == [10.0, 11.0]
    assert window.reopens_in_s(12.0, limit) == 3.0
    assert window.admits(15.0, limit)
    assert window.reopens_in_s(15.0, limit) == 0.0


@pytest.mark.parametrize("text", ["25", "25/", "/5", "0/5", "25/0", "-1/5", "25/-5", "a/b", "25/5/1", ""])
def test_a_limit_that_is_none_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="limit"):
        Limit.parse(text)


@given(limit=st.builds(Limit, calls=st.integers(1, 10**6), window_s=st.decimals("0.001", 10**6, places=6).map(float)))
def test_a_limit_reads_back_what_it_writes(limit: Limit) -> None:
    assert Limit.parse(str(limit)) == limit
