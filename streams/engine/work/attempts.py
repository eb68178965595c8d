"""Runs every piece of work so that, if it ends the process, the next start knows; the rules are in `suspicion`.

In normal work this is a note in a local file. Once something is suspected, the suspicion and the beginning of its work
are written to the state before the work: they survive the loss of the host. On a host that knows nothing of the process
before, the first work on each source is written there too.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial

from streams.engine import events
from streams.engine.crashes.suspicion import Begun, Ending, Suspect, cause, counted, decode, pending
from streams.engine.crashes.work_file import WorkFile
from streams.engine.fatal import Fatal
from streams.engine.job import RESERVED, Changes, Record, Unavailable
from streams.engine.log import checkpoint
from streams.engine.log.output_tails import Tails
from streams.engine.log.writer import Writer
from streams.engine.ports import LocalState
from streams.engine.work.assignment import Interrupted

ALONE_S = 60.0  # the longest that others wait for something suspected
LISTED_ALONE_S = 5.0  # the same for listed work: links die within minutes
# State keys. Their value is `Suspect.encode()`: b"<first>/<last>/<own>/<unexplained>/<begun>/<refused>", all numbers.
_TRY = RESERVED + b"try/"
_RECORDS = _TRY + b"in/"  # \0try/in/<source topic>: some of its records
_LISTED = _TRY + b"at/"  # \0try/at/<32 hex digits>: work that the state lists, by the hash of its key


@dataclass
class Attempt:
    """One piece of work under way: whether to refuse it, and what to write with its end."""

    refused: bool = False
    written: bool = False  # for the work to say, once it is
    changes: dict[bytes, bytes | None] = field(default_factory=dict)


class Attempts:
    """Notes when the work of one stage begins and ends. `stuck_timeout_s` is the watchdog's."""

    def __init__(
        self, work_file: WorkFile, state: LocalState, writer: Writer, *, stage: str, stuck_timeout_s: float
    ) -> None:
        self._work_file = work_file
        self._state = state
        self._writer = writer
        self._stage = stage
        self._stuck_timeout_s = stuck_timeout_s
        self._left: dict[int, list[Begun]] | None = None
        self._ending = Ending(explained=True, by_itself=False, is_known=True, begun=())
        self._suspects: dict[int, dict[bytes, Suspect]] = {}
        self._alone = asyncio.Lock()
        self._begun: set[tuple[int, bytes]] = set()
        self._waiting: dict[int, int] = {}
        self._turned_at = 0.0

    async def assigned(self, partitions: Iterable[int]) -> None:
        """Count what ended the process before this one, as far as it is about these partition numbers."""
        if self._left is None:
            self._ending = self._work_file.open()
            self._left = {}
            for begun in self._ending.begun:
                self._left.setdefault(begun.partition, []).append(begun)
        self._suspects = {}
        for partition in partitions:
            self._suspects[partition] = await self._counted(partition, self._left.pop(partition, []))

    # --- work ------------------------------------------------------------------------------------------------------

    def parts(self, number: int, records: Sequence[Record]) -> list[Sequence[Record]]:
        """Return the records of one source as they are to be worked on: the suspected ones one by one."""
        suspect = self._of(number, _key(records[0].topic))
        if suspect is None or not suspect.is_alone:
            return [records]
        before = [record for record in records if record.offset < suspect.first]
        alone = [[record] for record in records if suspect.first <= record.offset <= suspect.last]
        behind = [record for record in records if record.offset > suspect.last]
        return [part for part in (before, *alone, behind) if part]

    @asynccontextmanager
    async def at_records(
        self, number: int, records: Sequence[Record], tails: Tails, quarantine: str
    ) -> AsyncIterator[Attempt]:
        """Work on records of one source; write the attempt's `changes` with their position."""
        topic, first, last = records[0].topic, records[0].offset, records[-1].offset
        key, attempt, suspect = _key(topic), Attempt(), self._of(number, _key(topic))
        if suspect is not None and not (suspect.first <= last and suspect.last >= first):
            suspect = None
        if suspect is None and not self._ending.is_known and (number, key) not in self._begun:
            # What ended the process on another host, if anything did, may be what comes first here.
            suspect = Suspect(first, last)
        self._begun.add((number, key))
        async with self._apart(number, ALONE_S):
            if suspect is not None:
                left = pending(suspect, last + 1)
                attempt.changes[key] = left.encode() if left else None
                met = suspect._replace(first=first, last=last, begun=True)
                if met.is_too_costly and (suspect.refused or not _is_written(tails.of(topic), first, quarantine)):
                    attempt.refused = True
                    met = met._replace(begun=False, refused=True)
                await self._writer.write(number, {}, {key: met.encode()})
            with self._noted(number, f"in {topic} {first} {last}"):
                try:
                    yield attempt
                except Interrupted:
                    if suspect is not None:
                        await self._writer.write(number, {}, {key: suspect.encode()})
                    raise
        if suspect is not None and attempt.written:
            self._put(number, key, pending(suspect, last + 1))

    @asynccontextmanager
    async def at_listed(self, number: int, name: bytes) -> AsyncIterator[None]:
        """Work on something that the state lists under the key `name`; what it raises is its caller's to handle."""
        async with self._apart(number, LISTED_ALONE_S):
            slot, task = self._work_file.begin(number, f"at {_digest(name)}"), _task()
            before = task.get_name()
            task.set_name(_name(slot))
            try:
                yield
            finally:
                self._work_file.end(slot)
                task.set_name(before)

    def is_too_costly(self, number: int, name: bytes) -> bool:
        """Return whether something that the state lists is to go to quarantine."""
        suspect = self._of(number, _listed(name))
        return suspect is not None and suspect.is_too_costly

    def off_list(self, number: int, changes: Changes) -> Changes:
        """Return what to write with changes that take listed work off its list: it is not suspected any more."""
        if not any(key.startswith(_LISTED) for key in self._suspects.get(number, ())):
            return {}
        keys = {_listed(name) for name, value in changes.items() if value is None}
        return dict.fromkeys(keys & self._suspects[number].keys())

    def forget(self, number: int, keys: Iterable[bytes]) -> None:
        """Suspect these no more: what `off_list` returned is written."""
        for key in keys:
            self._put(number, key, None)

    # --- the end ---------------------------------------------------------------------------------------------------

    def blame_running(self, loop: asyncio.AbstractEventLoop) -> None:
        """Blame the work that does not let the event loop turn; called from another thread."""
        task = asyncio.current_task(loop)
        for slot in self._work_file.in_work:
            if task is not None and task.get_name() == _name(slot):
                self._work_file.blame(slot)

    def blame_stuck(self, written_at: Callable[[int], float]) -> None:
        """Blame the work on records that has not moved for nearly as long as the watchdog waits."""
        long_ago = time.monotonic() - self._stuck_timeout_s * 0.9
        for slot, work in list(self._work_file.in_work.items()):
            if work.work.startswith("in ") and max(work.begun_at, written_at(work.partition)) < long_ago:
                self._work_file.blame(slot)

    def waits_since(self, number: int) -> float:
        """Return when what this partition number waits for last moved, as `time.monotonic` counts; 0: nothing."""
        return self._turned_at if self._waiting.get(number) else 0.0

    # --- how -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _noted(self, number: int, work: str) -> Iterator[None]:
        """Note in the work file what the current task works on; an error out of it ends the process."""
        slot, task = self._work_file.begin(number, work), _task()
        name = task.get_name()
        task.set_name(_name(slot))
        try:
            yield
        except (Interrupted, asyncio.CancelledError):
            self._work_file.end(slot)
            raise
        except Exception as error:
            if _is_own(error):
                self._work_file.blame(slot)
            raise
        else:
            self._work_file.end(slot)
        finally:
            task.set_name(name)

    @asynccontextmanager
    async def _apart(self, number: int, alone_s: float) -> AsyncIterator[None]:
        """Run one piece of work at a time, for at most `alone_s` each, while anything suspected has to work alone."""
        if not any(suspect.is_alone for suspects in self._suspects.values() for suspect in suspects.values()):
            yield
            return
        self._waiting[number] = self._waiting.get(number, 0) + 1
        try:
            await self._alone.acquire()
        finally:
            self._waiting[number] -= 1
        self._turned_at = time.monotonic()
        taken = [True]
        later = asyncio.get_running_loop().call_later(
            min(alone_s, self._stuck_timeout_s / 5), partial(self._release, taken)
        )
        try:
            yield
        finally:
            later.cancel()
            self._release(taken)

    def _release(self, taken: list[bool]) -> None:
        if taken.pop() if taken else False:
            self._turned_at = time.monotonic()
            self._alone.release()

    def _of(self, number: int, key: bytes) -> Suspect | None:
        return self._suspects.get(number, {}).get(key)

    def _put(self, number: int, key: bytes, suspect: Suspect | None) -> None:
        suspects = self._suspects.setdefault(number, {})
        if suspect is None:
            suspects.pop(key, None)
        else:
            suspects[key] = suspect

    async def _counted(self, number: int, left: Sequence[Begun]) -> dict[bytes, Suspect]:
        """Return what is suspected in this partition number, and note it in the state if that is new."""
        written = dict(self._state.scan(number, _TRY))
        suspects: dict[bytes, Suspect | None] = {key: decode(value) for key, value in written.items()}
        positions = dict(checkpoint.positions(self._state, number))
        met: set[bytes] = set()
        for begun in left:
            key, first, last = _parse(begun.work)
            met.add(key)
            suspects[key] = counted(suspects.get(key), first, last, cause(self._ending, begun))
        for key, suspect in list(suspects.items()):
            found = suspect
            if found is not None and found.begun and key not in met:
                # Its owner was on another host; all that is known is that the work did not come to an end.
                found = counted(found, found.first, found.last, "unexplained")
            if found is not None and key.startswith(_RECORDS):
                found = pending(found, positions.get(key.removeprefix(_RECORDS).decode(), 0))
            suspects[key] = found
            if found is not None:
                events.SUSPECTED(stage=self._stage, partition=number, own=found.own, unexplained=found.unexplained)
        now = {key: suspect.encode() if suspect else None for key, suspect in suspects.items()}
        changes = {key: value for key, value in now.items() if value != written.get(key)}
        if changes:
            await self._writer.write(number, {}, changes)
        return {key: suspect for key, suspect in suspects.items() if suspect is not None}


def _task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None, "work is done in a task"
    return task


def _key(topic: str) -> bytes:
    return _RECORDS + topic.encode()


def _listed(name: bytes) -> bytes:
    return _LISTED + _digest(name).encode()


def _digest(name: bytes) -> str:
    """Return a name that says nothing: ids are patient data."""
    return hashlib.sha256(name).hexdigest()[:32]


def _name(slot: int) -> str:
    return f"work {slot}"


def _parse(work: str) -> tuple[bytes, int, int]:
    kind, name, *numbers = work.split(" ")
    if kind == "in" and len(numbers) == 2:  # noqa: PLR2004 - first and last
        return _key(name), int(numbers[0]), int(numbers[1])
    return _LISTED + name.encode(), 0, 0


def _is_own(error: Exception) -> bool:
    """Return whether `error` may be the doing of what was in work: not an outage, and not the disk's.

    RocksDB's errors are plain `Exception`s.
    """
    return not isinstance(error, (Fatal, Unavailable, OSError, TimeoutError)) and type(error) is not Exception


def _is_written(places: Mapping[str, tuple[int, int]], offset: int, quarantine: str) -> bool:
    """Return whether outputs of the record at `offset`, or behind it, are written: then it is finished at any cost.

    One that is in quarantine already is refused again.
    """
    return any(place[0] > offset or (place[0] == offset and topic != quarantine) for topic, place in places.items())
