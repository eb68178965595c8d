"""People without a key at the ingress's port: `python -m tests.faults.strangers PORT SECONDS SCALE SEED [NAME...]`.

A process of its own, so that what it costs slows nobody else. Prints what it was answered, as JSON.
"""

import asyncio
import contextlib
import json
import random
import re
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvloop

MARK = b"p-5ecret"  # nothing that is answered or logged may hold it
ROUTE = b"/webhooks/metriport"
FALSE = b"x-metriport-signature: " + b"0" * 64 + b"\r\n"
POST = b"POST " + ROUTE + b" HTTP/1.1\r\nHost: " + MARK + b"\r\n"
ASK = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
MI_B = 2**20
ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
ANSWER_TIMEOUT_S = 10.0


class Connection:
    """One connection of a stranger."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *parts: bytes, pause_s: float = 0) -> None:
        """Write part by part, for as long as the other side takes it."""
        for part in parts:
            if self.writer.is_closing():
                return
            with contextlib.suppress(OSError):
                self.writer.write(part)
                await self.writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)

    def reset(self) -> None:
        """Go away without a word."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Strangers:
    """Everything they do until `end`, and what they hear."""

    def __init__(self, port: int, *, seconds: float, scale: float, seed: int) -> None:
        self._port = port
        self._end = time.monotonic() + seconds
        self._scale = scale
        self._chance = random.Random(seed)
        self.statuses: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        self.connections = 0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Open a connection; being closed is what a stranger must expect (uvloop says so with a `RuntimeError`)."""
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S * 2):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                self.connections += 1
                try:
                    yield Connection(reader, writer)
                finally:
                    writer.close()

    async def many(self, count: int, what: Callable[[], Awaitable[None]]) -> None:
        """Let `count` strangers do the same, again and again."""

        async def one() -> None:
            await asyncio.sleep(self._chance.random())
            while not self.over():
                await what()
                await asyncio.sleep(0.01)

        await asyncio.gather(*(one() for _ in range(max(1, int(count * self._scale)))))

    def over(self) -> bool:
        """Whether it is time to go home."""
        return time.monotonic() > self._end

    async def listen(self, connection: Connection) -> None:
        """Read to the end, for a while, and note what was said."""
        said = b""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while piece := await connection.reader.read(2**16):
                    said += piece
        self.note(said)

    def note(self, said: bytes) -> None:
        """Note the answers, and what must not be in them."""
        statuses = [status.decode() for status in ANSWER.findall(said)]
        self.statuses.update(statuses)
        final = len(statuses) - statuses.count("100")
        self.heard["not_ours"] += final != said.count(b"\r\nServer: metriport-streams\r\n")
        self.heard["quotes"] += MARK in said
        self.heard["versions"] += bool(re.search(rb"aiohttp|[Pp]ython/|Traceback", said))
        self.heard["other_5xx"] += sum(status > "499" for status in statuses) - said.count(b'{"error":"cannot_keep"}')

    # What they do.

    async def unfinished_heads(self) -> None:
        """700 kB of headers that never end."""
        async with self.connection() as connection:
            line = b"a: " + MARK + b"x" * 7000 + b"\r\n"
            await connection.say(b"GET / HTTP/1.1\r\n", *[line] * 100)
            await self.listen(connection)

    async def dripping_heads(self) -> None:
        """A header now and then."""
        async with self.connection() as connection:
            await connection.say(POST, *[b"a: " + MARK + b"\r\n"] * 90, pause_s=0.2)

    async def silence(self) -> None:
        """Nothing at all."""
        async with self.connection() as connection:
            await self.listen(connection)

    async def large_bodies(self) -> None:
        """32 MiB but for the last byte, under a signature that could be one."""
        async with self.connection() as connection:
            await connection.say(POST + FALSE + b"Content-Length: %d\r\n\r\n" % (32 * MI_B))
            await connection.say(*[MARK * (MI_B // 8)] * 31, b"x" * (MI_B - 1))
            await self.listen(connection)

    async def unsigned_bodies(self) -> None:
        """32 MiB without any signature."""
        async with self.connection() as connection:
            await connection.say(POST + b"Content-Length: %d\r\n\r\n" % (32 * MI_B), *[MARK * (MI_B // 8)] * 32)
            await self.listen(connection)

    async def stalled_bodies(self) -> None:
        """A beginning of a body, and no more of it."""
        async with self.connection() as connection:
            length = self._chance.choice([100, 60_000, 32 * MI_B])
            await connection.say(POST + FALSE + b"Content-Length: %d\r\n\r\n" % length, MARK * 7)
            await self.listen(connection)

    async def dripping_bodies(self) -> None:
        """Byte by byte, in chunks or not."""
        async with self.connection() as connection:
            if self._chance.random() < 0.5:
                await connection.say(POST + FALSE + b"Content-Length: 5000\r\n\r\n", *[b"x"] * 100, pause_s=0.05)
            else:
                await connection.say(POST + FALSE + CHUNKED, *[b"1\r\nx\r\n"] * 100, pause_s=0.05)
            await self.listen(connection)

    async def malformed_heads(self) -> None:
        """What is nearly HTTP."""
        async with self.connection() as connection:
            await connection.say(mutant(self._chance))
            if self._chance.random() < 0.5:
                await self.listen(connection)

    async def odd_requests(self) -> None:
        """What is HTTP and nobody expects."""
        async with self.connection() as connection:
            await connection.say(self._chance.choice(ODD))
            await self.listen(connection)

    async def chunk_tricks(self) -> None:
        """Chunks that lie, do not end, or are as small as can be."""
        async with self.connection() as connection:
            await connection.say(POST + FALSE + CHUNKED, *self._chance.choice(CHUNKS)())
            await self.listen(connection)

    async def pipelines(self) -> None:
        """Requests without waiting for answers; some never read any."""
        async with self.connection() as connection:
            await connection.say(*[ASK * self._chance.choice([2, 10, 1000])] * self._chance.choice([1, 50]))
            if self._chance.random() < 0.5:
                connection.writer.write_eof()
                await self.listen(connection)

    async def unread_answers(self) -> None:
        """Questions with long answers, and no ear for them."""
        async with self.connection() as connection:
            connection.writer.transport.pause_reading()
            await connection.say(*[b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"] * 1000)

    async def early_closes(self) -> None:
        """Away in the middle."""
        async with self.connection() as connection:
            whole = POST + FALSE + b"Content-Length: 2000\r\n\r\n" + MARK * 250
            await connection.say(whole[: self._chance.randrange(len(whole))])
            if self._chance.random() < 0.5:
                connection.reset()


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def _endless(start: bytes, piece: bytes, megabytes: int = 4) -> Callable[[], Iterator[bytes]]:
    def parts() -> Iterator[bytes]:
        yield start
        for _ in range(megabytes * 16):
            yield piece * (2**16 // len(piece))

    return parts


CHUNKS: list[Callable[[], Iterator[bytes]]] = [
    lambda: iter([b"-1\r\n"]),
    lambda: iter([b"ffffffffffffffffff\r\n" + MARK]),
    lambda: iter([MARK + b"\r\n"]),
    lambda: iter([b"5\r\n" + MARK * 9]),
    lambda: iter([b"5 5\r\nabcde\r\n0\r\n\r\n"]),
    lambda: iter([b"5\nabcde\n0\n\n"]),
    lambda: iter([b"0\r\n", b"\r\n" + ASK * 100]),
    lambda: iter([b"7fffffff\r\n", MARK]),
    _endless(b"1;", MARK),  # an extension without end
    _endless(b"1", b"0"),  # a size without end
    _endless(b"0\r\n", b"a: " + MARK + b"\r\n"),  # trailers without end
    _endless(b"0\r\na: ", MARK),  # one trailer without end
    _endless(b"", b"1\r\nx\r\n"),  # a body in single bytes
    _endless(b"", b"10000\r\n" + b"x" * 65536 + b"\r\n", megabytes=40),  # a body without end
]

ODD = [
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT " + MARK + b":443 HTTP/1.1\r\nHost: x\r\n\r\n" + MARK * 100,
    b"TRACE " + ROUTE + b" HTTP/1.1\r\nHost: " + MARK + b"\r\n\r\n",
    b"GET /" + MARK + b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + MARK,
    b"GET /" + MARK + b" HTTP/1.1\r\nHost: x\r\nExpect: " + MARK + b"\r\n\r\n",
    b"GET /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n" + MARK * 1000,
    b"GET /" + MARK * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://" + MARK + b":99999/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET ftp://" + MARK + b"/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[::1/" + MARK + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + MARK,
    b"\r\n" * 10_000,
    b"\x00" * 100_000,
    POST + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    POST + FALSE + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    POST + FALSE + b"Content-Length: 5\r\n\r\n" + MARK * 9,
    POST + FALSE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + MARK,
    POST + FALSE + b"Content-Length: 5\r\n" + CHUNKED + MARK,
    POST + FALSE + b"Content-Length: 99999999999999999999999\r\n\r\n" + MARK,
    POST + FALSE + b"Content-Length: 9223372036854775807\r\n\r\n" + MARK,
    POST + FALSE + b"Content-Encoding: gzip\r\nContent-Length: 8\r\n\r\n" + MARK,
    POST + FALSE + FALSE + b"Content-Length: 8\r\n\r\n" + MARK,
    POST + FALSE + b"Transfer-Encoding: gzip, chunked\r\n\r\n8\r\n" + MARK + b"\r\n0\r\n\r\n",
    POST + FALSE + b"a: b\r\n" * 500 + b"\r\n",
]


def mutant(chance: random.Random) -> bytes:
    """Return a request with a few bytes changed, lost or said twice."""
    request = bytearray(POST + FALSE + b"Content-Type: application/json\r\nContent-Length: 8\r\n\r\n" + MARK)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(request))
        change = chance.randrange(4)
        if change == 0:
            request[place] = chance.randrange(256)
        elif change == 1:
            del request[place]
        elif change == 2:
            request[place:place] = bytes([chance.choice(b"\r\n\0 \t:,;=%\xff")])
        else:
            request[place:place] = request[place : place + chance.randrange(40)]
    return bytes(request)


# How many do what at once.
CROWDS = {
    "unfinished_heads": 3000,
    "dripping_heads": 300,
    "silence": 500,
    "large_bodies": 17,
    "unsigned_bodies": 17,
    "stalled_bodies": 300,
    "dripping_bodies": 100,
    "malformed_heads": 20,
    "odd_requests": 20,
    "chunk_tricks": 10,
    "pipelines": 10,
    "unread_answers": 10,
    "early_closes": 20,
}


async def run(port: int, seconds: float, scale: float, seed: int, names: list[str]) -> dict[str, object]:
    """Let all of them loose, or the named ones."""
    strangers = Strangers(port, seconds=seconds, scale=scale, seed=seed)
    crowds = {name: count for name, count in CROWDS.items() if name in (names or CROWDS)}
    await asyncio.gather(*(strangers.many(count, getattr(strangers, name)) for name, count in crowds.items()))
    return {
        "strangers": int(sum(crowds.values()) * scale),
        "connections": strangers.connections,
        "statuses": dict(sorted(strangers.statuses.items())),
        **strangers.heard,
    }


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        port, seconds, scale, seed, *names = sys.argv[1:]
        sys.stdout.write(json.dumps(runner.run(run(int(port), float(seconds), float(scale), int(seed), names))) + "\n")
