"""Limits as they are written, named and shared, and the window's arithmetic."""

import pytest

from relay.domain.budget import Limit, Tally, Window, effective_limit, named_limit

DOCUMENTED = Limit(25, 5.0)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("25/5", DOCUMENTED),
        (" 1/60 ", Limit(1, 60.0)),
        ("10/0.5", Limit(10, 0.5)),
        ("1/12345.678", Limit(1, 12_345.678)),
        ("100000/1", Limit(100_000, 1.0)),
    ],
)
def test_a_limit_is_written_as_calls_and_seconds(text: str, limit: Limit) -> None:
    assert Limit.parse(text) == limit
    assert Limit.parse(str(limit)) == limit


@pytest.mark.parametrize(
    "text", ["", "25", "25/", "/5", "0/5", "25/0", "-1/5", "25/-5", "25/5/5", "a/b", "1e3/5", "nan/5"]
)
def test_what_is_no_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="for example 25/5"):
        Limit.parse(text)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("API calls exceeded the limit of 20 in 5 second(s)", Limit(20, 5.0)),
        ('{"ExceptionMessage":"API calls exceeded the Limit of 72 in 10 seconds"}', Limit(72, 10.0)),
        ("API calls exceeded the limit", None),
        ("limit of 0 in 5 second(s)", None),
        ("limit of 5 in 0 second(s)", None),
        ("limit of 12345678 in 5 second(s)", None),
        ("limit of 5 in 100000 second(s)", None),
        ("", None),
    ],
)
def test_a_refusal_names_the_limit_or_it_does_not(text: str, limit: Limit | None) -> None:
    assert named_limit(text) == limit


@pytest.mark.parametrize(("share", "calls"), [(1.0, 25), (0.5, 12), (0.2, 5), (0.04, 1), (0.001, 1)])
def test_a_share_is_rounded_down_but_never_to_nothing(share: float, calls: int) -> None:
    assert DOCUMENTED.shared(share) == Limit(calls, 5.0)


@pytest.mark.parametrize("calls", range(1, 101))
def test_a_share_of_so_many_hundredths_is_exactly_so_many_calls_of_a_hundred(calls: int) -> None:
    assert Limit(100, 1.0).shared(calls / 100).calls == calls


@pytest.mark.parametrize(
    ("learned", "effective"),
    [
        (None, DOCUMENTED),
        (Limit(20, 5.0), Limit(20, 5.0)),
        (Limit(72, 5.0), DOCUMENTED),
        (Limit(10, 1.0), DOCUMENTED),
        (Limit(60, 60.0), Limit(60, 60.0)),
    ],
)
def test_of_the_configured_and_the_learned_limit_the_slower_holds(learned: Limit | None, effective: Limit) -> None:
    assert effective_limit(DOCUMENTED, learned, 1.0) == effective


def test_the_share_is_taken_of_the_learned_limit_too() -> None:
    assert effective_limit(DOCUMENTED, Limit(20, 5.0), 0.5) == Limit(10, 5.0)


def test_the_pace_spreads_the_calls_over_the_window() -> None:
    assert (DOCUMENTED.pace_s, DOCUMENTED.rate) == (0.2, 5.0)


def test_a_full_window_waits_for_an_answer_and_then_one_window_more() -> None:
    window = Window(Limit(2, 5.0))
    window.sent()
    assert window.free_at(10.0) == 10.0
    window.sent()
    assert window.free_at(10.0) is None
    window.answered(11.0)
    assert (window.free_at(11.0), window.in_use) == (16.0, 2)
    assert (window.free_at(16.0), window.in_use) == (16.0, 1)


def test_a_smaller_limit_waits_until_enough_slots_came_free() -> None:
    window = Window(Limit(3, 5.0))
    for at in (1.0, 2.0, 3.0):
        window.sent()
        window.answered(at)
    window.change(Limit(1, 5.0))
    assert window.free_at(4.0) == 8.0


def test_a_larger_limit_is_free_at_once() -> None:
    window = Window(Limit(1, 5.0))
    window.sent()
    window.change(Limit(2, 5.0))
    assert window.free_at(1.0) == 1.0


def test_what_was_answered_weighs_longer_once_the_window_is_longer() -> None:
    window = Window(Limit(2, 5.0))
    for _ in range(2):
        window.sent()
        window.answered(0.0)
    window.change(Limit(2, 10.0))
    assert window.free_at(5.0) == 10.0


def test_a_tally_sees_the_call_that_is_one_too_many_and_forgets_those_a_window_old() -> None:
    tally, limit = Tally(), Limit(2, 5.0)
    assert [tally.admits(limit, at) for at in (0.0, 1.0, 4.9, 6.1, 6.2)] == [True, True, False, True, False]
