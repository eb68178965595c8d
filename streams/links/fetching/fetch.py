"""Fetch one link: from the network through `body` into the blob store, within every limit."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import aiohttp

from models.reasons import LinkReason
from streams.concurrency import iterate_in_thread
from streams.engine.fatal import where
from streams.links import content_type, events
from streams.links.fetching import retry
from streams.links.fetching.blobs import Blobs, Shelf, Writing
from streams.links.fetching.body import Body, CannotInflate, TooInflated
from streams.links.fetching.client import Client, blocks
from streams.links.fetching.progress import Progress
from streams.links.fetching.read_ahead import read_ahead
from streams.links.fetching.retry import DEFAULT_POLICY, Failure, RetryPolicy, StoreUnavailable
from streams.links.limits import KIB, FetchLimits
from streams.links.link import Link, Outcome, StoredBody

INFLATED_AT_ONCE = 4  # pieces
ERROR_BYTES = 4 * KIB  # how much of an error's body is looked at
HEADER_CHARS_MAX = KIB  # of those that are published
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
# How S3 says that a link, or the key that signed it, has expired; whatever our clock says:
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_EXPIRED_WORDS = (b"Request has expired", b"ExpiredToken")
_GZIP_ENCODINGS = frozenset({"gzip", "x-gzip"})
_DIGESTS = (("x-amz-checksum-sha256", "sha256"), ("Content-MD5", "md5"))


class Fetcher:
    """Fetches links, one call each; safe to call many times at once."""

    def __init__(
        self,
        client: Client,
        blobs: Blobs,
        limits: FetchLimits,
        *,
        retries: RetryPolicy = DEFAULT_POLICY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._limits = limits
        self._retries = retries
        self._clock = clock
        self._receiving = 0

    async def fetch(self, link: Link, *, partition: int, progress: Progress) -> Outcome:
        """Return how `link` ended. Takes as long as its deadline and the limits allow."""
        if link.early is not None:
            return Outcome(link.early.outcome, cast("LinkReason | None", link.early.reason), at=self._now())
        failure = Failure("no_link")
        for place, url in enumerate(link.urls, 1):
            is_last = place == len(link.urls)
            attempt = partial(self._attempt, link, url, partition, progress, keeps_bad=is_last)
            try:
                body = await retry.until_ended(
                    attempt, self._retries, left_s=partial(self._left_s, link), failed=progress.failed
                )
                return Outcome("stored", body=body, at=self._now())
            except Failure as error:
                failure = error
                if not retry.may_differ(error):
                    break
        outcome: Any = "expired" if retry.is_expired(failure, left_s=self._left_s(link)) else "failed"
        return Outcome(outcome, failure.reason, failure.body, at=self._now())

    async def _attempt(
        self, link: Link, url: str, partition: int, progress: Progress, number: int, *, keeps_bad: bool
    ) -> StoredBody:
        """Return what was stored; raise `Failure` or `StoreUnavailable`."""
        try:
            return await self._store(link, url, partition, progress, number, keeps_bad=keeps_bad)
        except (Failure, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - it may pass, and is nobody's but this link's
            events.BROKEN(error=where(error))
            raise Failure("unprocessable") from None

    async def _store(
        self, link: Link, url: str, partition: int, progress: Progress, number: int, *, keeps_bad: bool
    ) -> StoredBody:
        """Store the body behind `url`; a bad one aside, with `keeps_bad` and if no attempt follows."""
        async with self._client.open(url) as response:
            await self._check_status(response)
            inflate = _encoding(response) in _GZIP_ENCODINGS or (link.kind == "bundle" and link.expects == "json")
            body = Body(self._limits, inflate=inflate)
            async with self._blobs.writing(partition) as writing:
                failure = await self._receive(response, body, writing, progress)
                if failure is None and content_type.contradicts(link.expects, body.head, strict=link.strict):
                    failure = Failure("wrong_content")
                if failure is None:
                    return await _stored(response, body, writing, "sha256")
                if not (body.bytes and keeps_bad):
                    raise failure
                left_s = self._left_s(link)
                final = not retry.may_retry(failure, attempt=number, left_s=left_s, policy=self._retries)
                kept = await _stored(response, body, writing, "rejected/sha256") if final else None
                raise Failure(failure.reason, kept, final=final)

    async def _receive(
        self, response: aiohttp.ClientResponse, body: Body, writing: Writing, progress: Progress
    ) -> Failure | None:
        """Take in the whole body; return what is wrong with it."""
        digest = _declared_digest(response.headers)
        self._receiving += 1
        try:
            pieces = _pieces(body, self._limited(response, progress), digest[0] if digest else None)
            async with aclosing(read_ahead(pieces, self._waiting_bytes_max)) as batches:
                async for batch in batches:
                    await asyncio.gather(asyncio.to_thread(body.take, batch), writing.write(batch))
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
        limits, received, started_s = self._limits, 0, time.monotonic()
        declared = _declared_bytes(response.headers)
        if (declared or 0) > limits.bytes_max:
            raise Failure("too_large")
        async for block in blocks(response, idle_timeout_s=limits.idle_timeout_s):
            received += len(block)
            progress.received(len(block))
            if received > limits.bytes_max:
                raise Failure("too_large")
            passed_s = time.monotonic() - started_s
            if passed_s > limits.rate_after_s and received < passed_s * limits.rate_bytes_per_s_min:
                raise Failure("too_slow")
            yield block
        if declared is not None and received != declared:
            raise Failure("truncated")

    async def _check_status(self, response: aiohttp.ClientResponse) -> None:
        """Raise `Failure` unless the answer has the content."""
        status = response.status
        if status == _OK:
            if _encoding(response) not in {"identity", *_GZIP_ENCODINGS}:
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


async def _stored(response: aiohttp.ClientResponse, body: Body, writing: Writing, shelf: Shelf) -> StoredBody:
    blob = await writing.keep(body.sha256, shelf)
    headers = response.headers
    return StoredBody(body.bytes, body.sha256, blob, _text(headers.get("ETag")), _text(headers.get("Last-Modified")))


async def _pieces(body: Body, blocks_: AsyncIterator[bytes], digest: Any) -> AsyncIterator[bytes]:  # noqa: ANN401
    """Yield what to store of a body."""
    async for block in blocks_:
        if digest:
            digest.update(block)
        if not body.inflates:
            for piece in body.feed(block):
                yield piece
            continue
        # Inflating takes long enough to need a thread.
        async for piece in iterate_in_thread(body.feed(block), None, batch=INFLATED_AT_ONCE):
            yield piece
    for piece in body.end():
        yield piece


def _encoding(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("Content-Encoding", "identity").strip().lower()


def _text(header: str | None) -> str | None:
    """Return a header to publish; bytes that are no text are escaped, and one that is too long is left out.

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
