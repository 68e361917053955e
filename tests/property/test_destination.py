"""Laws of the destination policy: no spelling of an inside address is allowed, and parsing has no second opinion."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network

import httpx
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.destination import DestinationPolicy, Target, Verdict, judge, parse

PUBLIC = DestinationPolicy()
OPEN = DestinationPolicy(allow=(ip_network("10.0.0.0/8"),))
INSIDE = st.sampled_from(
    [
        IPv4Network("0.0.0.0/8"),
        IPv4Network("10.0.0.0/8"),
        IPv4Network("100.64.0.0/10"),
        IPv4Network("127.0.0.0/8"),
        IPv4Network("168.63.129.16/32"),
        IPv4Network("169.254.0.0/16"),
        IPv4Network("172.16.0.0/12"),
        IPv4Network("192.168.0.0/16"),
        IPv4Network("224.0.0.0/3"),
    ]
).flatmap(lambda network: st.integers(int(network[0]), int(network[-1])).map(IPv4Address))
ANY_IPV4 = st.integers(0, 2**32 - 1).map(IPv4Address)
TEREDO = int(IPv6Address("2001::"))


def embeddings(address: IPv4Address) -> dict[str, IPv6Address]:
    """Return the IPv6 addresses that somebody on the way may take for `address`."""
    number = int(address)
    return {
        "mapped": IPv6Address(0xFFFF << 32 | number),
        "compatible": IPv6Address(number),
        "translated": IPv6Address(0xFFFF << 48 | number),
        "nat64": IPv6Address(int(IPv6Address("64:ff9b::")) | number),
        "local nat64": IPv6Address(int(IPv6Address("64:ff9b:1::")) | number),
        "6to4": IPv6Address(0x2002 << 112 | number << 80),
        "teredo": IPv6Address(TEREDO | (number ^ 0xFFFFFFFF)),
        "teredo server": IPv6Address(TEREDO | number << 64),
    }


def spellings(address: IPv4Address) -> list[str]:
    """Return what inet_aton and its kin read as `address`."""
    number, (first, second, third, fourth) = int(address), address.packed
    return [
        str(number),
        hex(number),
        f"0{number:o}",
        f"{first}.{number & 0xFFFFFF}",
        f"{first}.{second}.{number & 0xFFFF}",
        f"{first:#x}.{second:#x}.{third:#x}.{fourth:#x}",
        f"0{first:o}.0{second:o}.0{third:o}.0{fourth:o}",
        f"{first}.{second}.{third}.{fourth:#X}",
        f"{address}.",
        f"00{address}",
    ]


@given(INSIDE)
def test_no_embedding_of_an_inside_address_is_allowed(address: IPv4Address) -> None:
    assert judge(address, PUBLIC) is not Verdict.ALLOWED
    for form, embedded in embeddings(address).items():
        assert judge(embedded, PUBLIC) is not Verdict.ALLOWED, form
        assert isinstance(parse(f"https://[{embedded}]/", PUBLIC), Verdict), form


@given(ANY_IPV4)
def test_no_embedding_but_the_mapped_one_is_ever_allowed(address: IPv4Address) -> None:
    judged = {form: judge(embedded, PUBLIC) for form, embedded in embeddings(address).items()}
    assert judged.pop("mapped") is judge(address, PUBLIC)
    assert Verdict.ALLOWED not in judged.values()


@given(INSIDE | ANY_IPV4)
def test_no_loose_spelling_of_an_address_is_a_host(address: IPv4Address) -> None:
    for host in spellings(address):
        assert isinstance(parse(f"https://{host}/", PUBLIC), Verdict), host
        assert isinstance(parse(f"http://{host}/", OPEN), Verdict), host


@given(st.text() | st.text(alphabet="htps:/\\@#?[]%.0123456789abcdefxn- \t\r\n").map("https://".__add__))
def test_whatever_is_accepted_has_a_stable_form_that_the_client_reads_alike(url: str) -> None:
    target = parse(url, OPEN)
    if isinstance(target, Target):
        assert parse(target.url, OPEN) == target
        read = httpx.URL(target.origin)
        assert (read.scheme, read.raw_host.decode()) == (target.scheme, target.host)
        assert read.port in {target.port, None}
