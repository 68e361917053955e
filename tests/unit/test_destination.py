"""Where the relay may call, case by case."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest

from relay.domain.destination import DestinationPolicy, Target, Verdict, judge, judge_connection, parse

PUBLIC = DestinationPolicy()
INSIDE = DestinationPolicy(allow=(ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8"), ip_network("::1/128")))
EVERYTHING = DestinationPolicy(allow=(ip_network("0.0.0.0/0"), ip_network("::/0")))


@pytest.mark.parametrize("address", ["8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1", "192.88.98.1", "2620:4e::1"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert judge(ip_address(address), PUBLIC) is Verdict.ALLOWED


@pytest.mark.parametrize(
    ("addresses", "verdict"),
    [
        ("127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1", Verdict.LOOPBACK),
        ("169.254.0.1 fe80::1", Verdict.LINK_LOCAL),
        ("10.0.0.1 100.64.0.1 100.127.255.255 172.16.0.1 172.31.255.255 192.168.0.1 fc00::1 fd12::1", Verdict.PRIVATE),
        ("224.0.0.1 239.255.255.250 ff02::1", Verdict.MULTICAST),
        ("169.254.169.254 168.63.129.16 fd00:ec2::254 ::ffff:169.254.169.254", Verdict.METADATA),
        ("0.0.0.0 192.0.0.8 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1", Verdict.RESERVED),
        ("198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 240.0.0.1 255.255.255.255", Verdict.RESERVED),
        (":: ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b:1::7f00:1 100::1", Verdict.RESERVED),
        ("2001::1 2001:1ff:ffff::1 2001:db8::1 2002:7f00:1:: 2620:4f:8000::1 3fff::1", Verdict.RESERVED),
        ("4000::1 5f00::1 fec0::1", Verdict.RESERVED),
    ],
)
def test_a_special_address_is_refused_by_its_class(addresses: str, verdict: Verdict) -> None:
    assert {judge(ip_address(address), PUBLIC) for address in addresses.split()} == {verdict}


def test_an_address_with_a_scope_is_refused_even_where_everything_is_open() -> None:
    assert judge(IPv6Address("fe80::1%eth0"), EVERYTHING) is Verdict.SCOPED


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "169.254.170.2", "169.254.170.23"),
        *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
        *("::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::168.63.129.16", "fe80::5efe:a9fe:a9fe"),
    ],
)
def test_metadata_services_are_refused_even_where_everything_is_open(address: str) -> None:
    assert judge(ip_address(address), EVERYTHING) is Verdict.METADATA


def test_an_opened_network_is_allowed_in_its_mapped_form_too() -> None:
    assert judge(ip_address("10.1.2.3"), INSIDE) is Verdict.ALLOWED
    assert judge(ip_address("::ffff:10.1.2.3"), INSIDE) is Verdict.ALLOWED
    assert judge(ip_address("192.168.0.1"), INSIDE) is Verdict.PRIVATE


def test_http_and_other_ports_belong_to_opened_networks() -> None:
    inside, outside = ip_address("10.0.0.1"), ip_address("8.8.8.8")
    assert judge_connection(inside, "http", 6_379, INSIDE) is Verdict.ALLOWED
    assert judge_connection(outside, "http", 443, INSIDE) is Verdict.SCHEME
    assert judge_connection(outside, "https", 444, INSIDE) is Verdict.PORT
    assert judge_connection(outside, "https", 8_443, INSIDE) is Verdict.ALLOWED


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/A?b=C", "https://example.com/A?b=C"),
        ("https://example.com:8443?x", "https://example.com:8443/?x"),
        ("https://example.com/a/../b//c?{d}|%zz", "https://example.com/a/../b//c?{d}|%zz"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:0:0::1]/", "https://[2606:4700::1]/"),
        ("https://[::ffff:8.8.8.8]/", "https://8.8.8.8/"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://a_b.3com.example/", "https://a_b.3com.example/"),
    ],
)
def test_an_accepted_url_has_one_canonical_form(url: str, canonical: str) -> None:
    target = parse(url, PUBLIC)
    assert isinstance(target, Target)
    assert target.url == canonical
    assert parse(canonical, PUBLIC) == target


@pytest.mark.parametrize(
    ("urls", "verdict"),
    [
        (["https://example.com/" + "a" * 2_048], Verdict.TOO_LONG),
        (["https://example.com\\@127.0.0.1/", "https:\\\\example.com", "https://example.com/a b"], Verdict.CHARACTERS),
        ([" https://example.com", "https://exa\tmple.com", "https://example.com/\r\nx: y"], Verdict.CHARACTERS),
        (["https://bücher.example", "https://①②⑦.0.0.1", "https://127。0。0。1", "https://a.b:٨٠"], Verdict.CHARACTERS),
        (
            ["example.com", "https:example.com", "https:/example.com", "//example.com", "https://", ""],
            Verdict.UNPARSABLE,
        ),
        (["https://example.com/#", "https://example.com#@evil/"], Verdict.UNPARSABLE),
        (["http://example.com/", "ftp://example.com", "file://a/etc/passwd", "gopher://a:70/"], Verdict.SCHEME),
        (["https://user@example.com", "https://a:b@example.com", "https://@example.com"], Verdict.USERINFO),
        (["https://example.com:", "https://a:0", "https://a:065", "https://a:65536", "https://a:4x"], Verdict.PORT),
        (["https://example.com:22/", "https://example.com:80/", "https://8.8.8.8:6379/"], Verdict.PORT),
        (["https://127.1/", "https://0x7f000001/", "https://2130706433/", "https://0177.0.0.1/"], Verdict.NUMERIC_HOST),
        (["https://0/", "https://a.0x/", "https://8.8.8.8.8/", "https://0x7f.1/"], Verdict.NUMERIC_HOST),
        (["https://example.com./", "https://a..b/", "https://-a.b/", "https://%31.com/", "https://::1/"], Verdict.HOST),
        (
            ["https://xn--/", "https://xn--a/", "https://xn--zz--zz/", "https://[1.2.3.4]/", "https://[::1"],
            Verdict.HOST,
        ),
        (["https://a<b/", "https://a*b/", "https://" + "a" * 64 + "/", "https://" + "a." * 127 + "a/"], Verdict.HOST),
        (["https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/"], Verdict.SCOPED),
        (["https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/"], Verdict.LOOPBACK),
        (["https://169.254.169.254/", "https://[fd00:ec2::254]/"], Verdict.METADATA),
    ],
)
def test_a_refused_url_is_refused_for_a_named_reason(urls: list[str], verdict: Verdict) -> None:
    assert [parse(url, PUBLIC) for url in urls] == [verdict] * len(urls)


def test_http_by_sight_needs_an_opened_network_and_a_literal_must_lie_in_it() -> None:
    assert isinstance(parse("http://127.0.0.1:9000/", INSIDE), Target)
    assert isinstance(parse("http://[::1]:9000/", INSIDE), Target)
    assert isinstance(parse("http://localhost:9000/", INSIDE), Target)
    assert parse("http://8.8.8.8/", INSIDE) is Verdict.SCHEME
    assert parse("http://localhost/", PUBLIC) is Verdict.SCHEME


@pytest.mark.parametrize(
    ("url", "verdict"), [("http://a.example/", Verdict.SCHEME), ("https://a.example:9/", Verdict.PORT)]
)
def test_where_loopback_alone_is_opened_so_is_no_name_but_localhost(url: str, verdict: Verdict) -> None:
    loopback = DestinationPolicy(allow=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    assert parse(url, loopback) is verdict
    assert isinstance(parse(url, INSIDE), Target)
    assert isinstance(parse("https://a.example/", loopback), Target)
    assert isinstance(parse("http://hook.localhost:9000/", loopback), Target)


def test_the_origin_of_a_target_names_host_and_odd_port() -> None:
    assert Target("http", "::1", 8_080, "/").origin == "http://[::1]:8080"
    assert Target("https", "example.com", 443, "/a").origin == "https://example.com"
