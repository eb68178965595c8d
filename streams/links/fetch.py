"""Fetching one link: from the network through the intake into the blob store, with every limit held."""

import asyncio
import base64
import binascii
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp
import stamina

from streams.helpings import in_helpings
from streams.links import content, events
from streams.links.blobs import Blobs, StoreUnavailable, Writing
from streams.links.client import Client, blocks
from streams.links.failure import Failure, is_expired, may_differ, may_retry
from streams.links.gathered import gathered
from streams.links.inflate import CannotInflate, TooInflated
from streams.links.intake import Intake
from streams.links.limits import KIB, FetchLimits
from streams.links.link import Facts, Link, Outcome, Reason

INFLATED_AT_ONCE = 4  # pieces
ERROR_BYTES = 4 * KIB  # how much of an error's body is looked at
_OK = 200
_SERVER_ERRORS = 500
_STATUSES: dict[int, Reason] = {
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

        def again(error: Exception) -> bool:
            if isinstance(error, Failure):
                retry = may_retry(error, attempt=number, left_s=self._left_s(link), limits=self._limits)
            else:
                # What cannot be stored is not lost as long as the link lives; nothing is recorded before we know.
                retry = isinstance(error, StoreUnavailable)
                if retry:
                    events.STORE_AWAY(error=str(error))
            if retry:
                progress.failed()
            return retry

        async for attempt in stamina.retry_context(
            on=again,
            attempts=None,
            timeout=None,
            wait_initial=self._limits.retry_wait_s,
            wait_max=self._limits.retry_wait_s_max,
            wait_jitter=self._limits.retry_wait_s,
        ):
            with attempt:
                number = attempt.num
                keep_bad = lambda failure: last and not again(failure)  # noqa: E731
                return await self._attempt(link, url, partition, progress, keep_bad)
        raise AssertionError("unreachable: stamina raises what the last attempt raised")

    async def _attempt(
        self, link: Link, url: str, partition: int, progress: Progress, keep_bad: Callable[[Failure], bool]
    ) -> Facts:
        async with self._client.open(url) as response:
            await _check_status(response)
            inflate = _is_gzip(response) or (link.kind == "bundle" and link.expects == "json")
            intake = Intake(self._limits, inflate=inflate)
            async with self._blobs.writing(partition) as writing:
                failure = await self._receive(response, intake, writing, progress)
                if failure is None and content.contradicts(link.expects, intake.head, strict=link.strict):
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
            async with aclosing(
                gathered(pieces, lambda: self._limits.waiting_bytes_of_one(self._receiving))
            ) as helpings:
                async for helping in helpings:
                    await asyncio.gather(asyncio.to_thread(intake.take, helping), writing.write(helping))
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

    async def _limited(self, response: aiohttp.ClientResponse, progress: Progress) -> AsyncIterator[bytes]:
        limits, received, begun_s = self._limits, 0, time.monotonic()
        if (response.content_length or 0) > limits.bytes_max:
            raise Failure("too_large")
        async for block in blocks(response):
            received += len(block)
            progress.received(len(block))
            if received > limits.bytes_max:
                raise Failure("too_large")
            passed_s = time.monotonic() - begun_s
            if passed_s > limits.rate_after_s and received < passed_s * limits.rate_bytes_per_s_min:
                raise Failure("too_slow")
            yield block
        if response.content_length is not None and received != response.content_length:
            raise Failure("truncated")

    def _left_s(self, link: Link) -> float:
        return link.deadline.timestamp() - self._clock()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


async def _check_status(response: aiohttp.ClientResponse) -> None:
    """Raise `Failure` unless the answer has the content."""
    status = response.status
    if status == _OK:
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding != "identity" and encoding not in _GZIP_ENCODINGS:
            raise Failure("wrong_encoding")
        return
    if status in range(300, 400):
        raise Failure("redirected")
    if status >= _SERVER_ERRORS:
        raise Failure("server_error")
    said = b""
    async for block in blocks(response):
        said += block
        if len(said) >= ERROR_BYTES:
            break
    raise Failure(_STATUSES.get(status, "refused"), expired=any(word in said for word in _EXPIRED_WORDS))


async def _facts(response: aiohttp.ClientResponse, intake: Intake, writing: Writing, shelf: Any) -> Facts:  # noqa: ANN401
    blob = await writing.keep(intake.sha256, shelf)
    headers = response.headers
    return Facts(intake.bytes, intake.sha256, blob, headers.get("ETag"), headers.get("Last-Modified"))


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
        async for piece in in_helpings(intake.feed(block), None, count=INFLATED_AT_ONCE):
            yield piece
    for piece in intake.end():
        yield piece


def _is_gzip(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Content-Encoding", "").strip().lower() in _GZIP_ENCODINGS


def _declared_digest(headers: Mapping[str, str]) -> tuple[Any, bytes] | None:
    """Return the hash that the answer declares, to be fed, and its value; None if there is none we can check."""
    for name, algorithm in _DIGESTS:
        try:
            value = base64.b64decode(headers[name], validate=True)
        except (KeyError, binascii.Error):  # a multipart object's is no hash of its bytes, and no base64 either
            continue
        return hashlib.new(algorithm, usedforsecurity=False), value
    return None
