"""Request links over HTTP: from public addresses only, and sending what the link says and nothing else."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import aiohttp
from aiohttp import http_exceptions
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from models import tuning
from models.errors import MetriportStreamsError
from models.reasons import LinkReason
from streams.links.fetching import address, networks
from streams.links.fetching.address import AddressRules
from streams.links.fetching.retry import Failure
from streams.links.limits import KIB, MIB, FetchLimits

READ_BYTES = 256 * KIB
BLOCK_BYTES_MAX = 16 * MIB
HEADER_BYTES_MAX = 8 * KIB  # of an answer, each
HEADERS_MAX = 128
_ADDRESSES = 3  # of one name, tried one after another within the time to connect
# Bytes are hashed and counted as they are on the wire, so nobody on the way shall change them.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "metriport-streams"}

_REASONS: tuple[tuple[type[aiohttp.ClientError], LinkReason], ...] = (
    (aiohttp.InvalidURL, "bad_link"),
    (aiohttp.ClientConnectorCertificateError, "certificate"),
    (aiohttp.ServerTimeoutError, "timed_out"),
    (aiohttp.ClientPayloadError, "truncated"),
    (aiohttp.ClientResponseError, "bad_answer"),  # not HTTP, or more of it than it declared
)


class Client:
    """Opens links. Use it as a context manager."""

    def __init__(
        self,
        rules: AddressRules,
        limits: FetchLimits,
        *,
        proxy: str | None = None,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """With `proxy`, it is the proxy that connects, and its job to see that addresses are public."""
        self._rules = rules
        self._limits = limits
        self._proxy = proxy
        self._resolver = resolver
        self._tls = tls
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        # To map new pages for each block of a body costs a quarter of a fetch's processor time.
        tuning.raise_mmap_threshold(BLOCK_BYTES_MAX)
        self._sessions = {trusted: self._session(trusted=trusted) for trusted in (False, True)}
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    @asynccontextmanager
    async def open(self, link: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Request `link` and give its answer; raise `Failure` for what goes wrong, never with the link in it."""
        url = address.parse(link)
        if url is None:
            raise Failure("bad_link")
        if not self._rules.allows(url):
            raise Failure("address_refused")
        trusted = self._rules.trusts(url)
        request = self._sessions[trusted].get(url, proxy=None if trusted else self._proxy, allow_redirects=False)
        async with await self._answered(request) as response:
            yield response

    async def _answered(self, request: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        """Return the answer once its headers are there: an endless row of 1xx answers, or of headers, is no answer."""
        try:
            async with asyncio.timeout(self._limits.answer_timeout_s):
                with _translated():
                    return await request
        except TimeoutError:
            raise Failure("too_slow") from None

    def _session(self, *, trusted: bool) -> aiohttp.ClientSession:
        guarded = not trusted and self._proxy is None
        options: dict[str, Any] = {"limit": 0, "ttl_dns_cache": 10, "ssl": self._tls or True}
        if guarded:
            options |= {"resolver": PublicResolver(self._resolver or ThreadedResolver()), "socket_factory": _socket}
        limits = self._limits
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(**options),
            timeout=aiohttp.ClientTimeout(
                total=limits.total_timeout_s,
                connect=_ADDRESSES * limits.connect_timeout_s,
                sock_connect=limits.connect_timeout_s,
                sock_read=limits.idle_timeout_s,
            ),
            headers=HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
            requote_redirect_url=False,
            trust_env=False,
        )


async def blocks(response: aiohttp.ClientResponse, *, idle_timeout_s: float) -> AsyncIterator[bytes]:
    """Yield the body as it comes; raise `Failure` where it breaks off, or brings nothing for `idle_timeout_s`.

    The client's own timeout counts what arrives, and endless decoration between chunks arrives too.
    """
    while True:
        with _translated():
            async with asyncio.timeout(idle_timeout_s):
                block = await response.content.readany()
        if not block:
            return
        yield block


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what goes wrong on the network into a `Failure` that quotes nothing."""
    try:
        yield
    except aiohttp.ClientError as error:
        if isinstance(error, aiohttp.ClientConnectorError) and _is_refused(error):
            raise Failure("address_refused") from None
        reason: LinkReason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), "unreachable")
        raise Failure(reason) from None
    except TimeoutError:
        raise Failure("timed_out") from None
    except OSError:
        raise Failure("unreachable") from None
    except (http_exceptions.HttpProcessingError, ValueError):
        # The client's reader and what it reads with; names and links that it cannot take were refused before.
        raise Failure("bad_answer") from None


class AddressRefused(MetriportStreamsError, OSError):
    """A name or a literal leads to an address that is not public."""


class PublicResolver(AbstractResolver):
    """Refuses a host name if any of its addresses is not public (DNS rebinding)."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`."""
        found = await self._resolver.resolve(host, port, family)
        if not found:
            raise OSError("a name without addresses")
        if not all(networks.is_public(result["host"]) for result in found):
            raise AddressRefused
        return found

    async def close(self) -> None:
        """Close the resolver behind it."""
        await self._resolver.close()


def _socket(info: tuple[Any, ...]) -> socket.socket:
    """Make the socket for one address; the last gate, which literals pass as well as names."""
    family, kind, protocol, _, where = info
    if not networks.is_public(str(where[0])):
        raise AddressRefused
    return socket.socket(family, kind, protocol)


def _is_refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, AddressRefused) or isinstance(getattr(error, "os_error", None), AddressRefused):
            return True
        error = error.__cause__
    return False
