"""For how long an answer is held back."""

import pytest

from relay.domain.errors import InvalidRequestError
from relay.domain.waiting import Patience, patience


@pytest.mark.parametrize(
    ("query", "preferences", "expected"),
    [
        ([], [], Patience(0.0)),
        ([("wait", "30")], [], Patience(30.0)),
        ([("wait", "0")], ["wait=30"], Patience(0.0)),
        ([("wait", "29.999")], [], Patience(29.999)),
        ([], ["wait=30"], Patience(30.0, preferred=True)),
        ([], ["respond-async; x=1, WAIT = 9; foo", "wait=10"], Patience(9.0, preferred=True)),
        ([], ["return=minimal", 'wait="7"'], Patience(7.0, preferred=True)),
        ([], ["wait=3600"], Patience(60.0, preferred=True)),
        ([], ["wait=-1, wait=soon, wait"], Patience(0.0)),
    ],
)
def test_a_query_comes_before_a_preference(
    query: list[tuple[str, str]], preferences: list[str], expected: Patience
) -> None:
    assert patience(query, preferences) == expected


@pytest.mark.parametrize("value", ["", "-1", "61", "1e2", "1e999", "nan", "1_0", "\u0661", " 1", "0x1", "1" * 20])
def test_what_is_no_number_of_seconds_up_to_a_minute_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError, match="/wait"):
        patience([("wait", value)], [])
