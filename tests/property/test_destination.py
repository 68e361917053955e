"""Laws of the destination policy: no spelling of an inside address is allowed, and parsing has no second opinion."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from relay.domain.destination import DestinationPolicy, Target, Verdict, judge, parse
from tests.support.canaries import embedded, spelled, urls
from tests.support.special import NETWORKS

PUBLIC = DestinationPolicy()
OPEN = DestinationPolicy(allow=(ip_network("10.0.0.0/8"),))
SPECIAL = st.sampled_from(NETWORKS).flatmap(
    lambda network: st.integers(int(network[0]), int(network[-1])).map(type(network[0]))
)
INSIDE = SPECIAL.filter(lambda address: isinstance(address, IPv4Address))
ANY_IPV4 = st.integers(0, 2**32 - 1).map(IPv4Address)
WHAT_A_PUBLIC_ADDRESS_MAY_BE = {"plain", "mapped address", "mapped, dotted", "mapped, in full", "mapped, in capitals"}


@given(SPECIAL)
def test_no_special_address_is_allowed(address: IPv4Address | IPv6Address) -> None:
    assert judge(address, PUBLIC) is not Verdict.ALLOWED
    for form, url in urls(str(address), 443).items():
        if not form.startswith("named"):
            assert isinstance(parse(url, PUBLIC), Verdict), form


@given(INSIDE)
def test_no_embedding_of_an_inside_address_is_allowed(address: IPv4Address) -> None:
    assert judge(address, PUBLIC) is not Verdict.ALLOWED
    for form, put_in in embedded(str(address)).items():
        assert judge(put_in, PUBLIC) is not Verdict.ALLOWED, form
        assert isinstance(parse(f"https://[{put_in}]/", PUBLIC), Verdict), form


@given(ANY_IPV4)
def test_no_embedding_but_the_mapped_one_is_ever_allowed(address: IPv4Address) -> None:
    judged = {form: judge(put_in, PUBLIC) for form, put_in in embedded(str(address)).items()}
    assert judged.pop("mapped") is judge(address, PUBLIC)
    assert Verdict.ALLOWED not in judged.values()


@given(INSIDE | ANY_IPV4)
@example(IPv4Address("140.219.190.100"))
def test_no_loose_spelling_of_an_address_is_a_host(address: IPv4Address) -> None:
    for form, host in spelled(str(address)).items():
        if form not in WHAT_A_PUBLIC_ADDRESS_MAY_BE:
            assert isinstance(parse(f"https://{host}/", PUBLIC), Verdict), form
            assert isinstance(parse(f"http://{host}/", OPEN), Verdict), form


@given(st.text() | st.text(alphabet="htps:/\\@#?[]%.0123456789abcdefxn- \t\r\n").map("https://".__add__))
def test_whatever_is_accepted_has_a_stable_form_that_the_client_reads_alike(url: str) -> None:
    target = parse(url, OPEN)
    if isinstance(target, Target):
        assert parse(target.url, OPEN) == target
        read = httpx.URL(target.origin)
        assert (read.scheme, read.raw_host.decode()) == (target.scheme, target.host)
        assert read.port in {target.port, None}
