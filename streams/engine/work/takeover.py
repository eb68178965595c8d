"""Prepares an assignment: compares what the logs hold with the state, and waits while an operator has to decide."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

from streams.engine import events
from streams.engine.log import checkpoint, partition_counts
from streams.engine.log.output_tails import Tails
from streams.engine.log.writer import Writer
from streams.engine.losses import decisions
from streams.engine.losses.losses import Examination, examine
from streams.engine.ports import LocalState, LogPartition, Logs, Sender
from streams.engine.settings import EngineSettings

_SAY_LOST_AGAIN_S = 60.0  # while an operator has not decided


class Takeover:
    """What a new owner of partitions makes sure of before it works on them. `topics`: those that the job writes to."""

    def __init__(
        self,
        *,
        state: LocalState,
        writer: Writer,
        sender: Sender,
        logs: Logs,
        topics: Sequence[str],
        settings: EngineSettings,
    ) -> None:
        self._state = state
        self._writer = writer
        self._sender = sender
        self._logs = logs
        self._topics = topics
        self._settings = settings
        self.needs_decision = ""  # what an operator must decide before anything goes on

    async def examined(self, partitions: frozenset[int], *, unread: int) -> Examination:
        """Return what the logs say of these partition numbers, once it agrees with the state; note it there.

        `unread` is how many records are in partitions beyond ours. Raises `Fatal` if the state was made with another
        partition count, or if a stage without a state would leave records unread.
        """
        self._check_made_with(partitions, unread=unread)
        found = await self._without_losses(partitions)
        for partition in partitions:
            await self._note_ahead(partition, found.tails[partition])
        return found

    def _check_made_with(self, partitions: frozenset[int], *, unread: int) -> None:
        ours = self._settings.partitions
        made_with = {partition: checkpoint.made_with(self._state, partition) for partition in partitions}
        partition_counts.check_made_with(made_with.values(), ours)
        known = any(made_with.values()) or any(any(checkpoint.positions(self._state, number)) for number in partitions)
        if not known and len(partitions) == ours:
            partition_counts.check_begin(ours, unread=unread)
        for partition in partitions:
            if made_with[partition] is None:
                self._writer.begin_with(partition, checkpoint.make_with(ours))

    async def _without_losses(self, partitions: frozenset[int]) -> Examination:
        """Return what the logs say once it agrees with the state, or an operator has said to go on."""
        said_at = float("-inf")
        while True:
            found = await examine(self._state, partitions, self._topics, logs=self._logs, settings=self._settings)
            self._sender.expect(found.ends | self._changelog_ends(partitions))
            if not found.losses:
                self.needs_decision = ""
                return found
            if await self._accept(found):
                continue
            first = found.losses[0]
            more = f" And {len(found.losses) - 1} more." if len(found.losses) > 1 else ""
            self.needs_decision = first.sentence + more
            if time.monotonic() - said_at > _SAY_LOST_AGAIN_S:
                said_at = time.monotonic()
                events.LOST(stage=self._settings.stage, topic=first.topic, sentence=self.needs_decision)
            await asyncio.sleep(self._settings.decision_poll_s)

    async def _accept(self, found: Examination) -> bool:
        """Do what operators decided about these losses; return whether they decided anything."""
        accepted = await self._acceptances({loss.partition for loss in found.losses})
        chosen = [(loss, accepted[loss.identity]) for loss in found.losses if loss.identity in accepted]
        for loss, start in chosen:
            changes = decisions.changes(loss, start, self._state, found.ends, self._topics)
            await self._writer.write(loss.partition, {}, changes)
            facts: dict[str, Any] = {"topic": loss.topic, "partition": loss.partition, "position": loss.position}
            events.ACCEPTED(stage=self._settings.stage, start=start, **facts)
        return bool(chosen)

    async def _acceptances(self, partitions: Iterable[int]) -> dict[str, int]:
        topic = self._settings.decisions
        if not topic:
            return {}
        spans = await self._logs.spans([(topic, number) for number in partitions])
        accepted: dict[str, int] = {}
        async for _, records in self._logs.records(spans):
            said = (decisions.acceptance(record) for record in records)
            accepted |= {each.loss: each.start for each in said if each}
        return accepted

    def _changelog_ends(self, partitions: Iterable[int]) -> dict[LogPartition, int]:
        """Return where the changelog ends if nothing was written to it since the restore."""
        reached = {partition: self._state.reaches(partition) for partition in partitions}
        return {(self._settings.changelog, number): at + 1 for number, at in reached.items() if at is not None}

    async def _note_ahead(self, partition: int, tails: Tails) -> None:
        checkpoint.recall(self._state, partition, tails)
        changes = checkpoint.ahead(self._state, partition, tails)
        known = dict(zip(changes, self._state.get_many(partition, list(changes)), strict=True)) if changes else {}
        if changes != known:
            await self._writer.write(partition, {}, changes)
