"""The reference promises of callback URLs only what the destination policy keeps."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.api.reference.document import callback_pattern
from relay.domain.destination import DestinationPolicy, Target, parse

POLICIES = [
    DestinationPolicy(),
    DestinationPolicy(ports=frozenset({8443})),
    DestinationPolicy(allow=(ip_network("127.0.0.0/8"),)),
]


@pytest.mark.parametrize("policy", POLICIES, ids=["public", "another port", "inside"])
@given(data=st.data())
def test_a_callback_url_that_the_reference_allows_is_taken(policy: DestinationPolicy, data: st.DataObject) -> None:
    url = data.draw(st.from_regex(callback_pattern(policy), fullmatch=True))
    assert isinstance(parse(url, policy), Target)
