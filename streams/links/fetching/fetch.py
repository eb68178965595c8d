"""Fetching one link: from the network through the intake into the blob store, with every limit held."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp
import stamina

from models.reasons import LinkReason
from streams.concurrency import iterate_in_thread
from streams.engine.fatal import where
from streams.links import content_type, events
from streams.links.fetching.blobs import Blobs, StoreUnavailable, Writing
from streams.links.fetching.body import Intake
from streams.links.fetching.client import Client, blocks
from streams.links.fetching.inflate import CannotInflate, TooInflated
from streams.links.fetching.read_ahead import read_ahead
from streams.links.fetching.retry import Failure, is_expired, may_differ, may_retry
from streams.links.limits import KIB, FetchLimits
from streams.links.link import Facts, Link, Outcome

INFLATED_AT_ONCE = 4  # pieces
ERROR_BYTES = 4 * KIB  # how much of an error's body is looked at
HEADER_CHARS_MAX = KIB  # of those that are told to others
LENGTH_DIGITS_MAX = 19  # of 64 bits
_OK = 200
_SERVER_ERRORS = range(500, 600)
_STATUSES: dict[int, LinkReason] = {
    403: "forbidden",
    404: "not_found",
    408: "server_error",
    410: "gone",
    429: "server_error",
}
# How S3 says that a link, or the key that signed it, has expired; whatever our clock says.
_EXPIRED_WORDS = (b"Request has expired", b"ExpiredToken")
_GZIP_ENCODINGS = frozenset({"gzip", "x-gzip"})
_DIGESTS = (("x-amz-checksum-sha256", "sha256"), ("Content-MD5", "md5"))


class Progress(Protocol):
    """Who wants to know how a fetch is doing."""

    def received(self, byte_count: int) -> None:
        """Note bytes from the network."""

    def failed(self) -> None:
        """Note that an attempt failed and another one follows."""


class Fetcher:
    """Fetches links, one call each; safe to call many times at once."""

    def __init__(
        self, client: Client, blobs: Blobs, limits: FetchLimits, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._limits = limits
        self._clock = clock
        self._receiving = 0

    async def fetch(self, link: Link, *, partition: int, progress: Progress) -> Outcome:
        """Return how `link` ended. Takes as long as its deadline and the limits allow."""
        if link.settled is not None:
            return Outcome(link.settled.outcome, link.settled.reason, at=self._now())
        failure = Failure("no_link")
        for place, url in enumerate(link.urls, 1):
            try:
                facts = await self._fetch(link, url, partition, progress, last=place == len(link.urls))
                return Outcome("stored", facts=facts, at=self._now())
            except Failure as error:
                failure = error
                if not may_differ(error):
                    break
        outcome: Any = "expired" if is_expired(failure, left_s=self._left_s(link)) else "failed"
        return Outcome(outcome, failure.reason, failure.facts, at=self._now())

    async def _fetch(self, link: Link, url: str, partition: int, progress: Progress, *, last: bool) -> Facts:
        number = 0
        decided: dict[tuple[int, str], bool] = {}

        def again(failure: Failure) -> bool:
            """Decide once for each attempt: bad bytes are kept only where no attempt follows."""
            left_s = self._left_s(link)
            return decided.setdefault(
                (number, failure.reason), may_retry(failure, attempt=number, left_s=left_s, limits=self._limits)
            )

        def ended(error: Exception) -> bool:
            """Tell how an attempt ended, and whether another one follows."""
            # What cannot be stored is not lost as long as the link lives; nothing is recorded before we know.
            away = isinstance(error, StoreUnavailable)
            follows = away or (isinstance(error, Failure) and again(error))
            if away:
                events.STORE_AWAY(error=str(error))
            if follows:
                progress.failed()
            return follows

        async for attempt in stamina.retry_context(
            on=ended,
            attempts=None,
            timeout=None,
            wait_initial=self._limits.retry_wait_s,
            wait_max=self._limits.retry_wait_s_max,
            wait_jitter=self._limits.retry_wait_s,
        ):
            with attempt:
                number = attempt.num
                keep_bad = lambda failure: last and not again(failure)  # noqa: E731
                return await self._foreseen(self._attempt(link, url, partition, progress, keep_bad))
        raise AssertionError("unreachable: stamina raises what the last attempt raised")

    async def _foreseen(self, attempt: Awaitable[Facts]) -> Facts:
        """Make a failure of what nobody foresaw: it may pass, and is nobody's but this link's."""
        try:
            return await attempt
        except (Failure, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            events.BROKEN(error=where(error))
            raise Failure("unprocessable") from None

    async def _attempt(
        self, link: Link, url: str, partition: int, progress: Progress, keep_bad: Callable[[Failure], bool]
    ) -> Facts:
        async with self._client.open(url) as response:
            await self._check_status(response)
            inflate = _is_gzip(response) or (link.kind == "bundle" and link.expects == "json")
            intake = Intake(self._limits, inflate=inflate)
            async with self._blobs.writing(partition) as writing:
                failure = await self._receive(response, intake, writing, progress)
                if failure is None and content_type.contradicts(link.expects, intake.head, strict=link.strict):
                    failure = Failure("wrong_content")
                if failure is None:
                    return await _facts(response, intake, writing, "sha256")
                if intake.bytes and keep_bad(failure):
                    failure = Failure(failure.reason, await _facts(response, intake, writing, "rejected/sha256"))
                raise failure

    async def _receive(
        self, response: aiohttp.ClientResponse, intake: Intake, writing: Writing, progress: Progress
    ) -> Failure | None:
        """Take in the whole body; return what is wrong with it."""
        digest = _declared_digest(response.headers)
        self._receiving += 1
        try:
            pieces = _pieces(intake, self._limited(response, progress), digest[0] if digest else None)
            async with aclosing(read_ahead(pieces, self._waiting_bytes_max)) as batches:
                async for batch in batches:
                    await asyncio.gather(asyncio.to_thread(intake.take, batch), writing.write(batch))
        except Failure as failure:
            return failure
        except CannotInflate:
            return Failure("wrong_encoding")
        except TooInflated:
            return Failure("too_inflated")
        finally:
            self._receiving -= 1
        if digest and digest[0].digest() != digest[1]:
            return Failure("wrong_hash")
        return None

    def _waiting_bytes_max(self) -> int:
        return self._limits.waiting_bytes_of_one(self._receiving)

    async def _limited(self, response: aiohttp.ClientResponse, progress: Progress) -> AsyncIterator[bytes]:
        limits, received, begun_s = self._limits, 0, time.monotonic()
        declared = _declared_bytes(response.headers)
        if (declared or 0) > limits.bytes_max:
            raise Failure("too_large")
        async for block in blocks(response, idle_timeout_s=limits.idle_timeout_s):
            received += len(block)
            progress.received(len(block))
            if received > limits.bytes_max:
                raise Failure("too_large")
            passed_s = time.monotonic() - begun_s
            if passed_s > limits.rate_after_s and received < passed_s * limits.rate_bytes_per_s_min:
                raise Failure("too_slow")
            yield block
        if declared is not None and received != declared:
            raise Failure("truncated")

    async def _check_status(self, response: aiohttp.ClientResponse) -> None:
        """Raise `Failure` unless the answer has the content."""
        status = response.status
        if status == _OK:
            encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
            if encoding != "identity" and encoding not in _GZIP_ENCODINGS:
                raise Failure("wrong_encoding")
            return
        if status in range(300, 400):
            raise Failure("redirected")
        if status in _SERVER_ERRORS:
            raise Failure("server_error")
        said = await self._said(response)
        raise Failure(_STATUSES.get(status, "refused"), expired=any(word in said for word in _EXPIRED_WORDS))

    async def _said(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the beginning of an error's body, as far as it comes: the status says enough without it."""
        said = b""
        with suppress(Failure, TimeoutError):
            async with asyncio.timeout(self._limits.answer_timeout_s):
                async for block in blocks(response, idle_timeout_s=self._limits.idle_timeout_s):
                    said += block
                    if len(said) >= ERROR_BYTES:
                        break
        return said

    def _left_s(self, link: Link) -> float:
        return link.deadline.timestamp() - self._clock()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


async def _facts(response: aiohttp.ClientResponse, intake: Intake, writing: Writing, shelf: Any) -> Facts:  # noqa: ANN401
    blob = await writing.keep(intake.sha256, shelf)
    headers = response.headers
    return Facts(intake.bytes, intake.sha256, blob, _text(headers.get("ETag")), _text(headers.get("Last-Modified")))


async def _pieces(intake: Intake, blocks_: AsyncIterator[bytes], digest: Any) -> AsyncIterator[bytes]:  # noqa: ANN401
    """Yield what to store of a body."""
    async for block in blocks_:
        if digest:
            digest.update(block)
        if not intake.inflates:
            for piece in intake.feed(block):
                yield piece
            continue
        # Inflating takes long enough to need a thread.
        async for piece in iterate_in_thread(intake.feed(block), None, batch=INFLATED_AT_ONCE):
            yield piece
    for piece in intake.end():
        yield piece


def _is_gzip(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Content-Encoding", "").strip().lower() in _GZIP_ENCODINGS


def _text(header: str | None) -> str | None:
    """Return a header that is told to others; bytes that are no text are written out, and an endless one is left out.

    The client hands out such bytes as halves of surrogate pairs (PEP 383), which no encoder takes.
    """
    if header is None or len(header) > HEADER_CHARS_MAX:
        return None
    return header.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    """Return the length that the answer declares, if it is one."""
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LENGTH_DIGITS_MAX else None


def _declared_digest(headers: Mapping[str, str]) -> tuple[Any, bytes] | None:
    """Return the hash that the answer declares, to be fed, and its value; None if there is none we can check."""
    for name, algorithm in _DIGESTS:
        try:
            value = base64.b64decode(headers.get(name, ""), validate=True)
        except ValueError:  # a multipart object's is no hash of its bytes, and no base64 either; nor is a byte 0xff
            continue
        digest = hashlib.new(algorithm, usedforsecurity=False)
        if len(value) == digest.digest_size:
            return digest, value
    return None
