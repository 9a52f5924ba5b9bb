"""Which addresses of the Internet are public: what a URL that a stranger may have written can lead to."""

from ipaddress import IPv4Address, IPv6Address, ip_network

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
