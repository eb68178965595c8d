"""Decide where a link may point at: https, configured hosts and ports; or an origin the operator trusts. Pure."""

import re
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address
from urllib.parse import quote

from yarl import URL

from streams.links.limits import KIB

SPACE = 0x20
LINK_CHARS_MAX = 16 * KIB  # servers take lines of 8 KiB; what AWS signs has 2
HTTPS_PORT = 443

_AS_GIVEN = "".join(chr(code) for code in range(SPACE + 1, 0x7F))
_HOST_CHARS_MAX = 253  # RFC 1035, section 2.3.4
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1123, and the underscores of old buckets
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which hosts and ports links may point at, and which origins are exempt from all rules."""

    allowed_hosts: tuple[str, ...]
    trusted_origins: tuple[str, ...] = ()
    allowed_ports: tuple[int, ...] = (HTTPS_PORT,)

    def trusts(self, url: URL) -> bool:
        """Return whether the operator named exactly this scheme, host and port."""
        return any(_trusted(origin) == _origin(url) for origin in self.trusted_origins)

    def allows(self, url: URL) -> bool:
        """Return whether `url` may be fetched, as far as its text tells; addresses are checked when connecting."""
        if self.trusts(url):
            return url.raw_user is None and url.raw_password is None
        return (
            url.scheme == "https"
            and url.raw_user is None
            and url.raw_password is None
            and url.port in self.allowed_ports
            and any(_under(url.raw_host or "", suffix) for suffix in self.allowed_hosts)
        )


def parse(url: str) -> URL | None:
    """Return `url` as given, or None if it is not one; never raises, and no part of what it returns does.

    A signature covers its text, so only what cannot be sent at all is encoded: spaces and characters beyond ASCII.
    """
    if len(url) > LINK_CHARS_MAX or any(ord(char) < SPACE or char in "\\\x7f" for char in url):
        return None
    try:
        parsed = URL(quote(url, safe=_AS_GIVEN), encoded=True)
        fit = parsed.absolute and parsed.port is not None and parsed.host and _is_host(parsed)
    except Exception:  # noqa: BLE001 - ValueError, UnicodeError, IndexError: whatever its parts raise, it is no link
        return None
    return parsed if fit else None


def host(url: str) -> str:
    """Return host and port of a link, by which servers are told apart; nothing for what is no link."""
    parsed = parse(url)
    return f"{parsed.raw_host}:{parsed.port}" if parsed else ""


def _is_host(url: URL) -> bool:
    """Return whether the host is a name that can be looked up, or a literal address; may raise where it is neither."""
    raw = url.raw_host or ""
    if "[" in url.raw_authority:
        return "%" not in raw and bool(IPv6Address(raw).compressed)
    return len(raw) <= _HOST_CHARS_MAX and _NAME.fullmatch(raw) is not None


@cache
def _trusted(origin: str) -> tuple[str, str | None, int | None]:
    return _origin(URL(origin))


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _under(name: str, suffix: str) -> bool:
    """Match whole labels only: `notamazonaws.com` is not under `amazonaws.com`."""
    suffix = suffix.strip().strip(".").lower()
    name = name.removesuffix(".").lower()
    return bool(suffix) and (name == suffix or name.endswith(f".{suffix}"))
