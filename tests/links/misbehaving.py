"""An HTTP server that does what it is told: whole answers, and every way to get one wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Misbehaving:
    """Answers each path as registered, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.origin = ""

    def on(self, path: str, *answers: Answer) -> str:
        """Answer `path` with these, one after another, the last one for ever; return the link."""
        self.answers[path] = list(answers)
        return f"{self.origin}{path}?X-Amz-Signature=00ff"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode().partition("?")[0]
            self.asked.append(path)
            answers = self.answers[path]
            await (answers.pop(0) if len(answers) > 1 else answers[0])(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def misbehaving(tls=None) -> AsyncIterator[Misbehaving]:
    server = Misbehaving()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader, writer):
        task = asyncio.create_task(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.origin = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def good(body, *, status=200, declared=None, **headers):
    """Answer with `body`; `declared` is the length it claims."""

    async def answer(writer):
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if declared is None else declared}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        await writer.drain()

    return answer


def hang(_=None):
    """Accept, and say nothing."""

    async def answer(_writer):
        await asyncio.Event().wait()

    return answer


def drip(every_s=0.05):
    """Declare a megabyte and send it byte by byte."""

    async def answer(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(every_s)

    return answer


def endless(piece, *, status=200, every_s=0.0):
    """Send `piece` again and again, chunked."""

    async def answer(writer):
        writer.write(b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n" % status)
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(every_s)

    return answer


def preamble(piece, every_s=0.0):
    """Send `piece` again and again, and never an answer."""

    async def answer(writer):
        writer.write(b"HTTP/1.1 ")
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every_s)

    return answer


def raw(answer_bytes):
    """Send exactly these bytes and close."""

    async def answer(writer):
        writer.write(answer_bytes)
        await writer.drain()

    return answer


def reset():
    """Close the connection without a word."""

    async def answer(writer):
        writer.transport.abort()

    return answer
