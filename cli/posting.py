"""Signed bodies, posted the way Metriport does, and what came back."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

import aiohttp

from cli.broker.errors import Unreachable
from models import headers, signature

ROUTE = "/webhooks/metriport"
TIMEOUT_S = 5.0  # Metriport's own
CONCURRENCY = 32


class Answers:
    """What came back: how often each status, how long it took, and how many posts have none."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.unanswered = 0
        self.problem = ""

    @property
    def accepted(self) -> int:
        """How many were answered 200: those are kept."""
        return self.statuses[200]

    def took(self, share: float) -> float | None:
        """Return the seconds within which this share of the answers came, None if none did."""
        if not self.seconds:
            return None
        return sorted(self.seconds)[min(int(len(self.seconds) * share), len(self.seconds) - 1)]


async def post_all(
    url: str, bodies: Iterable[bytes], *, key: bytes, answers: Answers, rate: float | None = None
) -> None:
    """Sign and post `bodies`, at most `rate` a second, and end with the first that nobody answers.

    What came back is in `answers`, also when this is cancelled.
    """
    places, away = asyncio.Semaphore(CONCURRENCY), asyncio.Event()
    begun_at = time.monotonic()
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
        asyncio.TaskGroup() as group,
    ):

        async def one(body: bytes) -> None:
            posted_at = time.monotonic()
            try:
                status, _ = await post(session, url, body, key=key)
                answers.statuses[status] += 1
                answers.seconds.append(time.monotonic() - posted_at)
            except Unreachable as problem:
                # Those under way get their answers: they may be kept.
                answers.unanswered += 1
                answers.problem = str(problem)
                away.set()
            finally:
                places.release()

        for number, body in enumerate(bodies):
            if rate is not None:
                await asyncio.sleep(max(0.0, begun_at + number / rate - time.monotonic()))
            # A place first, then the task: a million deliveries are never all in memory.
            await places.acquire()
            if away.is_set():
                break
            group.create_task(one(body))


async def post(session: aiohttp.ClientSession, url: str, body: bytes, *, key: bytes) -> tuple[int, bytes]:
    """Post one signed body; return status and answer. Raise `Unreachable` if nobody answers in HTTP."""
    sent = {headers.CONTENT_TYPE: "application/json", signature.HEADER: signature.sign(body, key=key)}
    try:
        async with session.post(url, data=body, headers=sent, allow_redirects=False) as response:
            return response.status, await response.read()
    except TimeoutError:
        raise Unreachable(f"No answer from {url} within {TIMEOUT_S:g} s.") from None
    except aiohttp.ClientConnectorError:
        raise Unreachable(f"Nobody answers at {url}. Is the ingress running?") from None
    except aiohttp.ClientError:
        raise Unreachable(f"The connection to {url} ended without an answer. Is it the ingress?") from None
