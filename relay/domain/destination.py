"""Where the relay may call: one strict parser of callback URLs, one judgement of addresses.

A URL is parsed by the same function when it is registered and when it is called. What a name resolves to is judged
when the connection is made (`relay.clients.guard`). The lists are the relay's own: `ipaddress.is_global` changes
between versions of Python and lets embedded addresses through.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import idna

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_BYTES = 2_048
MAX_HOST_BYTES = 253


class Verdict(StrEnum):
    """Allowed, or the reason why not: the URL's form (first group), or the address (second group)."""

    ALLOWED = "allowed"

    TOO_LONG = "too_long"
    CHARACTERS = "characters"
    UNPARSABLE = "unparsable"
    SCHEME = "scheme"
    USERINFO = "userinfo"
    HOST = "host"
    NUMERIC_HOST = "numeric_host"
    PORT = "port"

    SCOPED = "scoped"
    METADATA = "metadata"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link_local"
    PRIVATE = "private"
    MULTICAST = "multicast"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """`allow`: networks open although they are not public, to http and to any port. `ports`: those open elsewhere."""

    allow: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset({443, 8443})

    def opens(self, address: Address) -> bool:
        """Return whether the address lies in a network that the operator opened."""
        return any(unwrapped(address) in network for network in self.allow)

    def may_open(self, name: str) -> bool:
        """Return whether such a name may lie in an opened network: when that is loopback, `localhost` alone does."""
        return any(not network.is_loopback or f".{name}".endswith(".localhost") for network in self.allow)


@dataclass(frozen=True, slots=True)
class Target:
    """A callback URL in its parts. `host` is a lower-case ASCII name or a literal address without brackets."""

    scheme: str
    host: str
    port: int
    path_and_query: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, for example `https://example.com` or `http://[::1]:8080`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}")

    @property
    def url(self) -> str:
        """The canonical URL: parsing it gives this target again."""
        return self.origin + self.path_and_query


_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[!-\[\]-~]*")  # no space, no control, no backslash
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]+)(?P<path>[^?#]*)(?P<query>\?[^#]*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?::(?P<port>.*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"0x.*|[0-9]+")


@lru_cache(maxsize=1_024)
def parse(url: str, policy: DestinationPolicy) -> Target | Verdict:
    """Return the target of a callback URL, or why the relay does not call there. Never raises, resolves nothing.

    http and ports off the list belong to the networks in `policy.allow`: a literal address must lie in one, a name
    passes when it may, and `judge_connection` insists once the name's addresses are known.
    """
    target = _split(url)
    if isinstance(target, Verdict):
        return target
    verdict = _judge_by_sight(target, policy)
    return target if verdict is Verdict.ALLOWED else verdict


def judge_connection(address: Address, scheme: str, port: int, policy: DestinationPolicy) -> Verdict:
    """Return whether the relay may speak `scheme` to this port of this address."""
    verdict = judge(address, policy)
    if verdict is not Verdict.ALLOWED or policy.opens(address):
        return verdict
    return _judge_public_port(scheme, port, policy)


def judge(address: Address, policy: DestinationPolicy) -> Verdict:
    """Return whether the address is public or opened. A metadata service never is, nor what ends in one (NAT64)."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return Verdict.SCOPED
    address = unwrapped(address)
    if not _METADATA.isdisjoint({address, IPv4Address(int(address) & 0xFFFF_FFFF)}):
        return Verdict.METADATA
    if policy.opens(address):
        return Verdict.ALLOWED
    unlisted = Verdict.ALLOWED if isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST else Verdict.RESERVED
    return next((verdict for network, verdict in _REFUSED if address in network), unlisted)


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped IPv6 address stands for, or the address itself."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def literal(host: str) -> Address | None:
    """Return the address that `host` spells (no brackets), or None when it is a name."""
    if ":" not in host and not host[-1:].isdecimal():
        return None
    try:
        return ip_address(host)
    except ValueError:
        return None


def _split(url: str) -> Target | Verdict:
    if len(url) > MAX_URL_BYTES:
        return Verdict.TOO_LONG
    if not _VISIBLE.fullmatch(url):
        return Verdict.CHARACTERS
    parts = _URL.fullmatch(url)
    if parts is None:
        return Verdict.UNPARSABLE
    scheme = parts["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        return Verdict.SCHEME
    return _assemble(scheme, parts["authority"], (parts["path"] or "/") + (parts["query"] or ""))


def _assemble(scheme: str, authority: str, path_and_query: str) -> Target | Verdict:
    if "@" in authority:
        return Verdict.USERINFO
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        return Verdict.HOST
    host, port = _canonical_host(parts["host"].lower()), _port(parts["port"], scheme)
    if isinstance(host, Verdict):
        return host
    return port if isinstance(port, Verdict) else Target(scheme, host, port, path_and_query)


def _port(text: str | None, scheme: str) -> int | Verdict:
    if text is None:
        return _DEFAULT_PORTS[scheme]
    return int(text) if _PORT.fullmatch(text) and int(text) <= 65_535 else Verdict.PORT


def _canonical_host(host: str) -> str | Verdict:
    if host.startswith("["):
        return _canonical_ipv6(host[1:-1])
    labels = host.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return _strict_ipv4(host)
    return host if len(host) <= MAX_HOST_BYTES and all(_is_label(label) for label in labels) else Verdict.HOST


def _canonical_ipv6(text: str) -> str | Verdict:
    if "%" in text:
        return Verdict.SCOPED
    try:
        return str(unwrapped(IPv6Address(text)))
    except AddressValueError:
        return Verdict.HOST


def _strict_ipv4(host: str) -> str | Verdict:
    """Refuse what some resolvers take for an address: 127.1, 0x7f000001, 2130706433, 0177.0.0.1."""
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        return Verdict.NUMERIC_HOST


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    if not label.startswith("xn--"):
        return True
    try:
        return idna.encode(label, uts46=True, strict=True, std3_rules=True) == label.encode()
    except idna.IDNAError:
        return False


def _judge_by_sight(target: Target, policy: DestinationPolicy) -> Verdict:
    address = literal(target.host)
    if address is not None:
        return judge_connection(address, target.scheme, target.port, policy)
    return Verdict.ALLOWED if policy.may_open(target.host) else _judge_public_port(target.scheme, target.port, policy)


def _judge_public_port(scheme: str, port: int, policy: DestinationPolicy) -> Verdict:
    if scheme != "https":
        return Verdict.SCHEME
    return Verdict.ALLOWED if port in policy.ports else Verdict.PORT


_METADATA_TEXT = (
    "169.254.169.254 168.63.129.16 100.100.100.200 192.0.0.192 169.254.170.2 169.254.170.23 "
    "fd00:ec2::254 fd00:ec2::23 fd20:ce::254"
)
_METADATA = frozenset(map(ip_address, _METADATA_TEXT.split()))
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_REFUSED_IPV4 = {
    Verdict.LOOPBACK: "127.0.0.0/8",
    Verdict.LINK_LOCAL: "169.254.0.0/16",
    Verdict.PRIVATE: "10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.168.0.0/16",
    Verdict.MULTICAST: "224.0.0.0/4",
    Verdict.RESERVED: (
        "0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.175.48.0/24 "
        "198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4"
    ),
}
_REFUSED_IPV6 = {  # beyond 2000::/3 everything is refused: these four only give the reason a better name
    Verdict.LOOPBACK: "::1/128",
    Verdict.LINK_LOCAL: "fe80::/10",
    Verdict.PRIVATE: "fc00::/7",
    Verdict.MULTICAST: "ff00::/8",
    Verdict.RESERVED: "2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20",
}
_REFUSED: tuple[tuple[Network, Verdict], ...] = (
    *((IPv4Network(network), verdict) for verdict, text in _REFUSED_IPV4.items() for network in text.split()),
    *((IPv6Network(network), verdict) for verdict, text in _REFUSED_IPV6.items() for network in text.split()),
)
