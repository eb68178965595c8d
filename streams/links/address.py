"""Where a link may point at: https, configured hosts, public addresses; or an origin the operator trusts."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote

from yarl import URL

SPACE = 0x20

_AS_GIVEN = "".join(chr(code) for code in range(SPACE + 1, 0x7F))
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Inside 2000::/3 and still not the internet: protocol assignments (with Teredo), documentation, 6to4.
_NOT_PUBLIC_V6 = tuple(IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
# `ipaddress` calls these global: the 6to4 relays, AS112, AMT, and the address at which Azure answers its guests.
_NOT_PUBLIC_V4 = tuple(
    IPv4Network(net) for net in ("192.88.99.0/24", "192.31.196.0/24", "192.52.193.0/24", "168.63.129.16/32")
)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which hosts links may point at, and which origins are exempt from all rules."""

    allowed_hosts: tuple[str, ...]
    trusted_origins: tuple[str, ...] = ()

    def trusts(self, url: URL) -> bool:
        """Tell whether the operator named exactly this scheme, host and port."""
        return any(_origin(URL(origin)) == _origin(url) for origin in self.trusted_origins)

    def allows(self, url: URL) -> bool:
        """Tell whether `url` may be fetched, as far as its text tells; addresses are checked when connecting."""
        if self.trusts(url):
            return url.user is None and url.password is None
        return (
            url.scheme == "https"
            and url.user is None
            and url.password is None
            and any(_under(url.raw_host or "", suffix) for suffix in self.allowed_hosts)
        )


def parse(url: str) -> URL | None:
    """Return `url` as given, or None if it is not one.

    A signature covers its text, so only what cannot be sent at all is encoded: spaces and characters beyond ASCII.
    """
    if any(ord(char) < SPACE or char in "\\\x7f" for char in url):
        return None
    try:
        parsed = URL(quote(url, safe=_AS_GIVEN), encoded=True)
    except ValueError:
        return None
    return parsed if parsed.absolute and parsed.raw_host and parsed.port is not None else None


def is_public(address: str) -> bool:
    """Tell whether `address` is on the internet: not in a private network, not this machine, not its cloud's."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _is_public_v4(parsed) if isinstance(parsed, IPv4Address) else _is_public_v6(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in net for net in _NOT_PUBLIC_V4)
    )


def _is_public_v6(address: IPv6Address) -> bool:
    # Behind NAT64 every IPv4 host has such an address, the metadata service too.
    if address in _NAT64:
        return _is_public_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.ipv4_mapped is not None:
        return _is_public_v4(address.ipv4_mapped)
    return address in _GLOBAL_UNICAST and address.is_global and not any(address in net for net in _NOT_PUBLIC_V6)


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _under(host: str, suffix: str) -> bool:
    """Match whole labels only: `notamazonaws.com` is not under `amazonaws.com`."""
    suffix = suffix.strip().strip(".").lower()
    host = host.removesuffix(".").lower()
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))
