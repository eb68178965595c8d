"""Metriport's side: posts each delivery once and writes down what became of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from time import monotonic

from aiohttp import ClientError, ClientSession, ClientTimeout

from models import signature
from tests.faults.posts import Post

KEY = "wh-key_0123456789abc"
ROUTE = "/webhooks/metriport"
PING = b'{"meta":{"messageId":"ping","type":"ping"},"ping":"abc"}'
TIMEOUT_S = 5.0  # Metriport's own


@dataclass(frozen=True)
class Answer:
    """What became of one post; status 0: no answer."""

    post: Post
    status: int
    seconds: float
    sent_at: float


class Sender:
    """Posts to one ingress, wherever that is in its life."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.answers: list[Answer] = []

    async def post(self, post: Post) -> int:
        """Post once; return the answer's status."""
        sent_at = monotonic()
        status, _ = await self._post(post.body)
        self.answers.append(Answer(post, status, monotonic() - sent_at, sent_at))
        return status

    async def ping(self) -> bool:
        """Return whether a ping was answered as Metriport wants it."""
        return await self._post(PING) == (200, {"pong": "abc"})

    async def ready(self) -> dict[str, object]:
        """Return what `/ready` says; nothing if it says nothing."""
        with contextlib.suppress(ClientError, TimeoutError, ConnectionError):
            async with self._session.get(f"{self._url}/ready") as response:
                return {"status": response.status, **await response.json()}
        return {}

    async def until_ready(self, **facts: object) -> None:
        """Wait until `/ready` says all of this."""
        while True:
            if facts.items() <= (await self.ready()).items():
                return
            await asyncio.sleep(0.05)

    async def post_all(self, posts: Iterable[Post], *, lanes: int) -> None:
        """Post as fast as the answers come, each lane's posts one after another."""
        sharing: list[list[Post]] = [[] for _ in range(lanes)]
        for post in posts:
            sharing[post.lane % lanes].append(post)
        await asyncio.gather(*(self._post_in_order(lane) for lane in sharing))

    async def _post_in_order(self, posts: Iterable[Post]) -> None:
        for post in posts:
            # Nobody there: a sender in a hurry would only count refused connections.
            if not await self.post(post):
                await asyncio.sleep(0.2)

    async def _post(self, body: bytes) -> tuple[int, object]:
        headers = {signature.HEADER: signature.sign(body, key=KEY.encode()), "content-type": "application/json"}
        with contextlib.suppress(ClientError, TimeoutError, ConnectionError):
            async with self._session.post(self._url + ROUTE, data=body, headers=headers) as response:
                return response.status, await response.json()
        return 0, None


@contextlib.asynccontextmanager
async def sender(url: str, *, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Sender]:
    """Open a sender."""
    async with ClientSession(timeout=ClientTimeout(total=timeout_s)) as session:
        yield Sender(session, url)
