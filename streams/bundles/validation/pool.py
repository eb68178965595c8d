"""Validate resources in processes: the event loop never does, and one bad resource takes no others with it.

A chunk whose process dies or hangs is given again, resource by resource; the one that does it twice is called crashed.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from queue import Queue
from threading import Lock
from typing import Self

import msgspec

from models.errors import MetriportStreamsError
from streams.bundles import events
from streams.bundles.validation.build import Standards
from streams.bundles.validation.chunk import CRASHED_MAX, Chunk, ChunkResult, Validated, crashed
from streams.bundles.validation.pool_process import work
from streams.engine.job import Unavailable

_RESULT = msgspec.msgpack.Decoder(ChunkResult)


class Lost(MetriportStreamsError):
    """A process died, or did not answer in time and was ended."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many processes there are, and how long they may take; the first and the last are settings."""

    processes: int = 1
    start_timeout_s: float = 120.0
    chunk_timeout_s: float = 4.0
    resource_timeout_s: float = 2.0


class Pool:
    """`start`, `validate`, `close`; or as a context manager. Any thread may use it, but not the event loop."""

    def __init__(self, standards: Standards, limits: PoolLimits) -> None:
        self._limits = limits
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["streams.bundles.validation.preload"])
        self._processes = [_PoolProcess(context, standards, limits) for _ in range(limits.processes)]
        self._idle: Queue[_PoolProcess] = Queue()
        self._threads = ThreadPoolExecutor(limits.processes, "fhir-pool")
        self._library_only = False
        self._starting = Lock()
        self._counting = Lock()
        self._unstarted = list(self._processes)
        self.audited = 0
        self.mismatches = 0
        self.lost = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all processes and wait until each has answered; nothing if they were started before.

        Raise `Unavailable` if one does not: that is no bundle's fault.
        """
        with self._starting:
            while self._unstarted:
                self._unstarted[-1].start()
                self._idle.put(self._unstarted.pop())

    def close(self) -> None:
        """End all processes. They also end by themselves when this process does."""
        for process in self._processes:
            process.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def pids(self) -> list[int]:
        """The process ids, for tests and benches."""
        return [pid for process in self._processes if (pid := process.pid) is not None]

    def validate(
        self, chunks: Iterable[list[bytes]], moved: Callable[[], None] = lambda: None
    ) -> Iterator[list[Validated]]:
        """Yield the results of each chunk, in the order of its resources. Never raises on what is in them.

        Takes as many chunks as there are processes, and one more. Calls `moved` whenever resources were looked
        at, and raises what that raises. Looks at no resource alone once more than `CRASHED_MAX` have crashed: all that
        would be looked at alone count as crashed, too. Raises `Unavailable` if a lost process cannot be replaced.
        """
        self.start()
        run = _Run(moved)
        ahead: deque[Future[list[Validated]]] = deque()
        for chunk, is_only in _only(chunks):
            if is_only:
                yield self._chunk(chunk, run)  # a way to another thread and back costs as much as some resources
                return
            ahead.append(self._threads.submit(self._chunk, chunk, run))
            if len(ahead) > len(self._processes):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _chunk(self, chunk: list[bytes], run: "_Run") -> list[Validated]:
        try:
            return self._ask(chunk, self._limits.chunk_timeout_s, run)
        except Lost:
            return [self._alone(raw, run) for raw in chunk]

    def _alone(self, raw: bytes, run: "_Run") -> Validated:
        for _ in range(2):
            if run.crashed > CRASHED_MAX:
                break
            try:
                return self._ask([raw], self._limits.resource_timeout_s, run)[0]
            except Lost as loss:
                if isinstance(loss.__cause__, TimeoutError):
                    break
        run.crashed += 1
        return crashed()

    def _ask(self, resources: list[bytes], timeout_s: float, run: "_Run") -> list[Validated]:
        # Not kept from one question to the next: other bundles wait for it, too.
        process = self._idle.get()
        try:
            result = process.ask(Chunk(resources, self._library_only), timeout_s)
        except Lost:
            with self._counting:
                self.lost += 1
            events.PROCESS_LOST()
            raise
        finally:
            self._idle.put(process)
            run.moved()
        if result.audited:
            self._count(result)
        return result.resources

    def _count(self, result: ChunkResult) -> None:
        with self._counting:
            self.audited += result.audited
            self.mismatches += result.mismatches
            # One resource wrongly accepted is one too many: from here on the library validates everything.
            self._library_only = self._library_only or result.mismatches > 0
        events.AUDITED(result.audited)
        if result.mismatches:
            events.MISMATCHED(result.mismatches)


@dataclass
class _Run:
    """One bundle's resources on their way through the pool."""

    moved: Callable[[], None]
    crashed: int = 0


def _only(chunks: Iterable[list[bytes]]) -> Iterator[tuple[list[bytes], bool]]:
    """Yield the chunks, and whether there is but one."""
    rest = iter(chunks)
    for first in islice(rest, 1):
        second = next(rest, None)
        yield first, second is None
        if second is not None:
            yield from ((chunk, False) for chunk in chain([second], rest))


class _PoolProcess:
    """A process and the line to it. Started when first asked, and again after it was lost."""

    def __init__(self, context: ForkServerContext, standards: Standards, limits: PoolLimits) -> None:
        self._context = context
        self._standards = standards
        self._start_timeout_s = limits.start_timeout_s
        self._process: ForkServerProcess | None = None
        self._line: Connection | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process, if it does not run, and wait for its answer; raise `Unavailable` if none comes."""
        if self._line is None:
            self._line = self._begun()

    def ask(self, chunk: Chunk, timeout_s: float) -> ChunkResult:
        self.start()
        line = self._line
        assert line is not None
        try:
            line.send_bytes(msgspec.msgpack.encode(chunk))
            if not line.poll(timeout_s):
                self.end()
                raise Lost from TimeoutError()
            return _RESULT.decode(line.recv_bytes())
        except (EOFError, OSError):
            self.end()
            raise Lost from None

    def close(self) -> None:
        self._closed = True
        self.end()

    def end(self) -> None:
        process, line = self._process, self._line
        self._process = self._line = None
        if line is not None:
            line.close()
        if process is not None:
            process.kill()
            process.join()
            process.close()

    def _begun(self) -> Connection:
        if self._closed:
            raise RuntimeError("the pool is closed")
        # A fresh process proves that it can answer before a clock runs against what it is asked.
        try:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=work, args=(theirs, self._standards), daemon=True, name="fhir-worker"
            )
            process.start()
            theirs.close()
            self._process, self._line = process, ours
            ours.send_bytes(msgspec.msgpack.encode(Chunk([])))
            if ours.poll(self._start_timeout_s):
                ours.recv_bytes()
                return ours
            why = f"did not start within {self._start_timeout_s:g} s"
        except (EOFError, OSError) as error:
            why = f"cannot be started: {type(error).__name__}"
        self.end()
        raise Unavailable(f"a process that checks resources {why}")
