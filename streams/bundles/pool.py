"""Processes that examine resources, so that the event loop never does and one bad resource never takes others with it.

A chunk whose process dies or hangs is given again, resource by resource; the one that does it twice is called crashed.
"""

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Self

import msgspec

from streams.bundles import events
from streams.bundles.examination import Chunk, Examined, Finding, crashed
from streams.bundles.judges import Standards
from streams.bundles.worker import work

_EXAMINED = msgspec.msgpack.Decoder(Examined)


class Lost(Exception):
    """A process died, or did not answer in time and was ended."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many processes there are, and how long they may take."""

    processes: int = 1
    start_timeout_s: float = 120.0
    chunk_timeout_s: float = 4.0
    resource_timeout_s: float = 2.0


class Pool:
    """`start`, `examine`, `close`; or as an async context manager."""

    def __init__(self, standards: Standards, limits: PoolLimits) -> None:
        self._limits = limits
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["streams.bundles.preload"])
        self._workers = [_Worker(context, standards, limits) for _ in range(limits.processes)]
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(limits.processes, "fhir-pool")
        self._library_only = False
        self._starting = asyncio.Lock()
        self._unstarted = list(self._workers)
        self.audited = 0
        self.mismatches = 0
        self.lost = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def start(self) -> None:
        """Start all processes and wait until each has answered; nothing if they were started before."""
        async with self._starting:
            while self._unstarted:
                await self._in_thread(self._unstarted[-1], Chunk([], {}), self._limits.start_timeout_s)
                self._idle.put_nowait(self._unstarted.pop())

    def close(self) -> None:
        """End all processes. They also end by themselves when this process does."""
        for worker in self._workers:
            worker.end()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [pid for worker in self._workers if (pid := worker.pid) is not None]

    @property
    def processes(self) -> int:
        """How many chunks are examined at the same time."""
        return len(self._workers)

    async def examine(self, resources: Sequence[bytes], references: dict[str, str]) -> list[Finding]:
        """Return the findings on `resources`, in their order. Never raises on what is in them."""
        if self._unstarted:
            await self.start()
        worker = await self._idle.get()
        try:
            try:
                return await self._ask(worker, resources, references, self._limits.chunk_timeout_s)
            except Lost:
                return [await self._alone(worker, resource, references) for resource in resources]
        finally:
            self._idle.put_nowait(worker)

    async def _alone(self, worker: "_Worker", resource: bytes, references: dict[str, str]) -> Finding:
        for _ in range(2):
            try:
                return (await self._ask(worker, [resource], references, self._limits.resource_timeout_s))[0]
            except Lost as loss:
                if isinstance(loss.__cause__, TimeoutError):
                    break
        return crashed()

    async def _ask(
        self, worker: "_Worker", resources: Sequence[bytes], references: dict[str, str], timeout_s: float
    ) -> list[Finding]:
        chunk = Chunk(list(resources), references, self._library_only)
        try:
            examined = await self._in_thread(worker, chunk, timeout_s)
        except Lost:
            self.lost += 1
            events.PROCESS_LOST()
            raise
        self.audited += examined.audited
        self.mismatches += examined.mismatches
        if examined.audited:
            events.AUDITED(examined.audited)
        if examined.mismatches:
            events.MISMATCHED(examined.mismatches)
        # One wrong yes is one too many: from here on the library judges everything.
        self._library_only = self._library_only or examined.mismatches > 0
        return examined.findings

    async def _in_thread(self, worker: "_Worker", chunk: Chunk, timeout_s: float) -> Examined:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, worker.ask, chunk, timeout_s)


class _Worker:
    """A process and the line to it. Started when first asked, and again after it was lost."""

    def __init__(self, context: ForkServerContext, standards: Standards, limits: PoolLimits) -> None:
        self._context = context
        self._standards = standards
        self._start_timeout_s = limits.start_timeout_s
        self._process: ForkServerProcess | None = None
        self._line: Connection | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def ask(self, chunk: Chunk, timeout_s: float) -> Examined:
        line = self._line or self._start()
        try:
            line.send_bytes(msgspec.msgpack.encode(chunk))
            if not line.poll(timeout_s):
                self.end()
                raise Lost from TimeoutError()
            return _EXAMINED.decode(line.recv_bytes())
        except (EOFError, OSError):
            self.end()
            raise Lost from None

    def end(self) -> None:
        process, line = self._process, self._line
        self._process = self._line = None
        if line is not None:
            line.close()
        if process is not None:
            process.kill()
            process.join()
            process.close()

    def _start(self) -> Connection:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(theirs, self._standards), daemon=True, name="fhir-worker")
        process.start()
        theirs.close()
        self._process, self._line = process, ours
        # A fresh process proves that it can answer before a clock runs against what it is asked.
        ours.send_bytes(msgspec.msgpack.encode(Chunk([], {})))
        if not ours.poll(self._start_timeout_s):
            self.end()
            raise Lost
        ours.recv_bytes()
        return ours
