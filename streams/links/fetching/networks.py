"""Tell which addresses are on the internet, by IANA's registries: `ipaddress` differs from Python to Python. Pure."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# https://www.iana.org/assignments/iana-ipv4-special-registry, as of 2025-10, all of it: what is globally reachable in
# there (AS112, AMT, anycast) holds no file of anybody's.
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared by carriers; clouds answer their guests here
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local; clouds answer their guests here
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # IETF protocol assignments; clouds answer their guests here
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private use
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "240.0.0.0/4",  # reserved, with the broadcast address
        # In other registries, or in none:
        "224.0.0.0/4",  # multicast (RFC 5771)
        "168.63.129.16/32",  # where Azure answers its guests
    )
)
# https://www.iana.org/assignments/ipv6-address-space: all that has been given out for unicast.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# https://www.iana.org/assignments/iana-ipv6-special-registry, as of 2025-10: what of it is inside 2000::/3.
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, with Teredo, benchmarking and ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# An IPv4 address in disguise, judged as that: mapped (RFC 4291) and behind NAT64 (RFC 6052), where every IPv4 host
# has such an address, the metadata service too.
_HOLDS_V4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))


def is_public(address: str) -> bool:
    """Return whether `address` is on the internet: not in a private network, not this machine, not its cloud's."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _is_public_v4(parsed) if isinstance(parsed, IPv4Address) else _is_public_v6(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in _SPECIAL_V4)


def _is_public_v6(address: IPv6Address) -> bool:
    if any(address in network for network in _HOLDS_V4):
        return _is_public_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_UNICAST and not any(address in network for network in _SPECIAL_V6)
