"""Sends records: only while the partitions are surely ours, counted once acknowledged, never again after a timeout.

aiokafka's idempotent producer retries for ever inside, and replacing it cancels its idempotence. So whatever is not
acknowledged in time ends the process: nothing was committed, and the restart reads the outputs' tails.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.protocol.produce import ProduceRequest

from models.topic_creation import never_create_topics
from streams.engine.fatal import Fatal
from streams.engine.job import Output
from streams.engine.kafka.byte_budget import ByteBudget
from streams.engine.log import quarantine
from streams.engine.log.record_size import output_bytes
from streams.engine.settings import EngineSettings

_BATCH_BYTES_MAX = 900_000  # below Kafka's default max.message.bytes
_INFLIGHT_BYTES_MAX = 64 * 2**20  # below the broker's socket.request.max.bytes


class KafkaSender:
    """One idempotent producer per process. `silent_s` returns seconds since the group last heard from us."""

    def __init__(
        self, settings: EngineSettings, *, silent_s: Callable[[], float], end: Callable[[str], NoReturn]
    ) -> None:
        self._settings = settings
        self._silent_s = silent_s
        self._end = end
        self._ends: dict[tuple[str, int], int] = {}
        self._budget = ByteBudget(_INFLIGHT_BYTES_MAX)
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect, once."""
        if self._producer is not None:
            return
        settings = self._settings
        never_create_topics()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap_servers,
            client_id=settings.app_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            # Batches are cut by `_cut`; this only keeps aiokafka from refusing one that must stay whole.
            max_batch_size=quarantine.bytes_max(settings.record_bytes_max),
            max_request_size=quarantine.bytes_max(settings.record_bytes_max),
            request_timeout_ms=int(min(20.0, settings.request_timeout_s) * 1000),
            **settings.security,
        )
        await self._producer.start()
        self._guard(self._producer)

    async def stop(self) -> None:
        """Disconnect; an idempotent producer with something in flight would never return."""
        if self._producer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._producer.stop(), timeout=self._settings.stop_timeout_s)

    def expect(self, ends: Mapping[tuple[str, int], int]) -> None:
        """Take in where the logs end: the next record of ours must be acknowledged at exactly that offset."""
        self._ends = dict(ends)

    def end(self, topic: str, partition: int) -> int:
        """Return where a log ends that was written to."""
        return self._ends[topic, partition]

    def fits(self, outputs: Sequence[Output]) -> bool:
        """Return whether these make one record batch of ordinary size."""
        return sum(map(output_bytes, outputs)) <= _BATCH_BYTES_MAX

    async def send(self, partition: int, outputs: Mapping[str, Sequence[Output]], *, whole: bool = False) -> int:
        """Write to several topics at once; return the last offset of the last topic when all are acknowledged."""
        sends = [
            asyncio.ensure_future(self._send(topic, partition, rows, whole=whole)) for topic, rows in outputs.items()
        ]
        # Never cancelled: what is in aiokafka's hands may still be written.
        _, late = await asyncio.wait(sends, timeout=self._settings.send_timeout_s)
        if late:
            raise Fatal(f"{len(late)} sends were not acknowledged within {self._settings.send_timeout_s:g} s")
        return [done.result() for done in sends][-1]

    async def _send(self, topic: str, partition: int, rows: Sequence[Output], *, whole: bool) -> int:
        bytes_max = self._settings.record_bytes_max if whole else _BATCH_BYTES_MAX
        batches = list(self._cut(rows, bytes_max))
        if whole and len(batches) > 1:
            raise Fatal(f"{topic}/{partition}: changes that belong together do not fit into one record batch")
        try:
            acks = [await self._submit(batch, topic, partition) for batch in batches]
            for batch, ack in zip(batches, acks, strict=True):
                self._check(topic, partition, (await ack).offset, batch.record_count())
        except MessageSizeTooLargeError:
            largest = max(batch.size() for batch in batches)
            raise Fatal(
                f"{topic}/{partition}: the broker refuses a record batch of {largest} bytes. Operator action: raise "
                f"the topic's max.message.bytes to at least {quarantine.bytes_max(self._settings.record_bytes_max)}."
            ) from None
        except KafkaError as error:
            raise Fatal(f"{topic}/{partition}: {type(error).__name__} while writing") from None
        return self._ends[topic, partition] - 1

    def _cut(self, rows: Iterable[Output], bytes_max: int) -> Iterable[Any]:
        producer = self._connected()
        now_ms, batch = int(time.time() * 1000), None
        for row in rows:
            size = output_bytes(row)
            if batch is not None and batch.size() + size > bytes_max:
                batch.close()
                yield batch
                batch = None
            if batch is None:
                batch = producer.create_batch()
            if batch.append(timestamp=now_ms, key=row.key, value=row.value, headers=list(row.headers)) is None:
                raise Fatal("the changes of one record do not fit into one record batch; raise RECORD_BYTES_MAX")
        if batch is not None:
            batch.close()
            yield batch

    async def _submit(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        taken = await self._budget.take(batch.size())
        ack: asyncio.Future[Any] | None = None
        while ack is None:
            # The queue of this partition is full because the broker is away: nothing was taken, so try again.
            with suppress(KafkaTimeoutError):
                ack = await self._connected().send_batch(batch, topic, partition=partition)
        ack.add_done_callback(lambda _: self._budget.give(taken))
        return ack

    def _check(self, topic: str, partition: int, offset: int, count: int) -> None:
        expected = self._ends.get((topic, partition), offset)
        if 0 <= offset < expected:
            raise Fatal(
                f"{topic}/{partition}: acknowledged at {offset}, expected {expected}: the topic lost its last records. "
                "The next start compares it with the state and says how to go on."
            )
        if offset != expected or offset < 0:
            raise Fatal(
                f"{topic}/{partition}: acknowledged at {offset}, expected {expected}: somebody else writes here. "
                "Operator action: only the owner of this partition may write to a stage's topics; look for a second "
                "installation with the same prefix, or a tool that writes there."
            )
        self._ends[topic, partition] = offset + count

    def _guard(self, producer: AIOKafkaProducer) -> None:
        """Check the lease at the last point before the socket, where retries pass too."""
        client = producer.client
        send = client.send

        async def guarded(node: Any, request: Any, **options: Any) -> Any:
            if isinstance(request, ProduceRequest):
                await client.ready(node)
                if (silent_s := self._silent_s()) > self._settings.lease_s:
                    self._end(f"no heartbeat for {silent_s:.1f} s: the partitions may have another owner by now")
            return await send(node, request, **options)

        client.send = guarded

    def _connected(self) -> AIOKafkaProducer:
        assert self._producer is not None, "start() comes first"
        return self._producer
