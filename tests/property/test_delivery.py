"""Laws of the retry schedule."""

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.delivery import MAX_HINT_S, RetryPolicy, next_attempt_at, parse_retry_after

POLICY = RetryPolicy()
INSTANTS = st.floats(0, 4e9)
DICE = st.floats(0, 1, exclude_max=True)


@given(now=INSTANTS, hints=st.lists(st.none() | INSTANTS, min_size=20, max_size=20), dice=DICE)
def test_a_life_has_at_most_eleven_attempts_and_none_before_its_time(
    now: float, hints: list[float | None], dice: float
) -> None:
    at, attempts = now, 0
    for hint_at in hints:
        following = next_attempt_at(POLICY, attempts=attempts, hint_at=hint_at, now=at, dice=dice)
        if following is None:
            break
        assert following >= at + POLICY.delays_s[attempts]
        assert following >= min(hint_at or 0, at + MAX_HINT_S)
        assert following <= at + max(POLICY.delays_s[attempts] * 1.2, MAX_HINT_S)
        at, attempts = following, attempts + 1
    assert attempts == len(POLICY.delays_s)


@given(value=st.text(), now=INSTANTS)
def test_any_retry_after_is_an_instant_of_the_next_day_or_nothing(value: str, now: float) -> None:
    at = parse_retry_after(value, now)
    assert at is None or at <= now + MAX_HINT_S
