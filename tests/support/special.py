"""The IANA special-purpose address registries, written down apart from the relay, and multicast.

Left out is ::ffff:0:0/96: an IPv4-mapped address is judged as the IPv4 address that it stands for.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

_REGISTERED = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29 192.0.0.8/32
    192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24
    192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    255.255.255.255/32
    ::/128 ::1/128 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128 2001:1::2/128
    2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32
    2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 ff00::/8
"""
NETWORKS = tuple(ip_network(text) for text in _REGISTERED.split())
METADATA = ("169.254.169.254", "168.63.129.16", "fd00:ec2::254")


def edges(network: IPv4Network | IPv6Network) -> set[IPv4Address | IPv6Address]:
    """Return the first address of a network, the second, and the last."""
    return {network[0], network[min(1, network.num_addresses - 1)], network[-1]}
