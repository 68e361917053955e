"""How an attempt ends, and when the next one is."""

import pytest

from relay.domain.delivery import Outcome, RetryPolicy, next_attempt_at, outcome_of, parse_retry_after

POLICY = RetryPolicy()
NOW = 1_700_000_000.0
DAY_S = 86_400


@pytest.mark.parametrize(
    ("status_codes", "outcome"),
    [
        ([200, 201, 204, 299], Outcome.DELIVERED),
        ([300, 301, 304, 308], Outcome.REDIRECT),
        ([410], Outcome.GONE),
        ([429], Outcome.THROTTLED),
        ([400, 401, 404, 409, 422, 499], Outcome.CLIENT_ERROR),
        ([500, 503, 599], Outcome.SERVER_ERROR),
        ([101, 600, 999], Outcome.PROTOCOL_ERROR),
    ],
)
def test_a_status_code_has_one_outcome(status_codes: list[int], outcome: Outcome) -> None:
    assert {outcome_of(code) for code in status_codes} == {outcome}


def test_without_jitter_the_attempts_follow_the_contracts_schedule() -> None:
    at, waits = NOW, []
    for attempts in range(11):
        following = next_attempt_at(POLICY, attempts=attempts, hint_at=None, now=at, dice=0.0)
        assert following is not None
        waits.append(following - at)
        at = following
    assert waits == [0, 5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000]
    assert next_attempt_at(POLICY, attempts=11, hint_at=None, now=at, dice=0.0) is None


def test_jitter_delays_by_at_most_a_fifth() -> None:
    assert next_attempt_at(POLICY, attempts=1, hint_at=None, now=NOW, dice=0.5) == pytest.approx(NOW + 5.5)


@pytest.mark.parametrize(("hint_s", "wait_s"), [(-60, 5), (3, 5), (60, 60), (DAY_S, DAY_S), (2 * DAY_S, DAY_S)])
def test_the_later_of_hint_and_schedule_holds_for_at_most_a_day(hint_s: float, wait_s: float) -> None:
    assert next_attempt_at(POLICY, attempts=1, hint_at=NOW + hint_s, now=NOW, dice=0.0) == NOW + wait_s


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("0", NOW),
        (" 120 ", NOW + 120),
        ("9" * 60, NOW + DAY_S),
        ("Tue, 14 Nov 2023 22:14:20 GMT", NOW + 60),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", NOW + 60),
        ("Tue, 14 Nov 2023 22:14:20 -0000", NOW + 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", NOW + DAY_S),
    ],
)
def test_both_forms_of_retry_after_are_read(value: str, at: float) -> None:
    assert parse_retry_after(value, NOW) == at


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "-1",
        "1.5",
        "٣",
        "0x10",
        "9" * 65,
        "Tue, 99 Nov 2023 22:14:20 GMT",
        "Tue, 14 Nov 99999 00:00:00",
    ],
)
def test_a_garbled_retry_after_is_ignored(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None
