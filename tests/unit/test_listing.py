"""What a listing asks for, and its cursor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.errors import InvalidRequestError
from relay.domain.listing import Listing, Place
from relay.domain.registration import packed, unpacked
from tests.support.builders import NOW, a_registration

PLACES = st.builds(Place, st.integers(0, 2**53), st.binary(min_size=17, max_size=17))


@given(PLACES)
def test_a_cursor_reads_back(place: Place) -> None:
    assert Place.parse(place.cursor()) == place
    assert Listing.parse([("cursor", place.cursor())]).cursor == place


@given(st.text())
def test_what_is_no_cursor_is_refused(text: str) -> None:
    try:
        place = Place.parse(text)
    except ValueError:
        return
    assert place is not None
    assert place.cursor() == text


def test_a_registration_has_its_place_by_when_it_was_made() -> None:
    one, later = a_registration(), a_registration(registered_at=NOW + 0.001)
    assert Place.of(one) < Place.of(later)
    assert unpacked(packed(one.id)) == one.id


def test_a_listing_of_everything_is_a_hundred_at_a_time() -> None:
    everything = Listing.parse([])
    assert (everything.limit, everything.state, everything.cursor) == (100, None, None)
    assert everything.names(a_registration().task_name)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.0", "", "ten", "\u0661", "1" * 50])
def test_a_limit_is_a_whole_number_up_to_a_thousand(limit: str) -> None:
    with pytest.raises(InvalidRequestError, match="/limit"):
        Listing.parse([("limit", limit)])
