"""Which addresses are public, and which are of one's own network: where a URL of somebody else's may lead."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_SHUT_4 = [
    ip_network(net)
    for net in (
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "168.63.129.16/32",  # Azure's host, which answers its guests alone
    )
]
_GLOBAL_UNICAST = ip_network("2000::/3")
_SHUT_6 = [
    ip_network(net)
    for net in (
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]
_INNER = [
    ip_network(net)
    for net in (
        "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
        "::1/128", "fc00::/7",
    )
]  # fmt: skip
_METADATA = {
    ip_address(host)
    # Alibaba, AWS and Google; the others' are link-local, so in none of the networks above.
    for host in ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")
}


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an ordinary address of the Internet.

    IPv6 addresses that carry an IPv4 address (mapped, compatible, 6to4, Teredo, NAT64) lie outside of
    2000::/3 or are shut, whatever they carry (IANA special-purpose address registries; RFC 6890).
    """
    if isinstance(address, IPv4Address):
        shut = any(address in net for net in _SHUT_4)
    else:
        shut = address not in _GLOBAL_UNICAST or any(address in net for net in _SHUT_6)
    return address.is_global and not address.is_multicast and not shut


def is_inner(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of a private network or of this machine (RFC 1918, 4193, 6598), and not
    one at which clouds hand out credentials."""
    return any(address in net for net in _INNER) and address not in _METADATA
