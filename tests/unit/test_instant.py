"""Instants are RFC 3339 in UTC with milliseconds."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.instant import rfc3339, rfc3339_or_none


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_428_007.12, "2026-11-23T10:00:07.120Z"),
        (1_795_428_000, "2026-11-23T10:00:00.000Z"),
        (1_795_427_999.9999, "2026-11-23T09:59:59.999Z"),
    ],
)
def test_an_instant_is_written_with_milliseconds_and_a_z(at: float, text: str) -> None:
    assert (rfc3339(at), rfc3339_or_none(at)) == (text, text)


def test_what_has_not_come_yet_is_no_text() -> None:
    assert rfc3339_or_none(None) is None


@given(at=st.floats(0, 4e9))
def test_an_instant_reads_back_within_a_millisecond(at: float) -> None:
    assert at - 0.0011 < datetime.fromisoformat(rfc3339(at)).timestamp() < at + 0.0001
