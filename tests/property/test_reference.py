"""The reference promises of callback URLs and header fields only what is kept."""

import re
from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.api.reference.document import callback_pattern
from relay.api.reference.headers import IDEMPOTENCY_KEY, LAST_EVENT_ID, Header
from relay.domain.destination import DestinationPolicy, Target, parse
from relay.domain.errors import MalformedKeyError
from relay.domain.event import EventId
from relay.domain.idempotency import parse_key

POLICIES = [
    DestinationPolicy(),
    DestinationPolicy(ports=frozenset({8443})),
    DestinationPolicy(allow=(ip_network("127.0.0.0/8"),)),
    DestinationPolicy(allow=(ip_network("10.0.0.0/8"),)),
]


@pytest.mark.parametrize("policy", POLICIES, ids=["public", "another port", "loopback", "inside"])
@given(data=st.data())
def test_a_callback_url_that_the_reference_allows_is_taken(policy: DestinationPolicy, data: st.DataObject) -> None:
    url = data.draw(st.from_regex(callback_pattern(policy), fullmatch=True))
    assert isinstance(parse(url, policy), Target)


READERS = [(IDEMPOTENCY_KEY, lambda text: parse_key([text])), (LAST_EVENT_ID, EventId.parse)]


@pytest.mark.parametrize(("header", "read"), READERS, ids=[header.name for header, _ in READERS])
@given(data=st.data())
def test_a_header_field_is_read_exactly_when_the_reference_allows_it(
    header: Header, read: Callable[[str], object], data: st.DataObject
) -> None:
    pattern = header.described["schema"]["pattern"]
    text = data.draw(st.from_regex(pattern, fullmatch=True) | st.text()).strip()  # as it arrives
    try:
        taken = read(text) is not None
    except (MalformedKeyError, ValueError):
        taken = False
    assert taken == bool(re.fullmatch(pattern, text))
