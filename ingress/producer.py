"""Keeps one usable producer at hand: starts it, watches it, and replaces it when it hangs or fails."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ingress.records import Record
from ingress.session import Session, TopicMissing, Unavailable
from models import telemetry

KafkaState = Literal["ok", "starting", "slow", "away", "topic_missing", "too_few_partitions"]

# Often enough that what `/ready` says is never older than two seconds.
WATCH_S = 0.25
REACH_TIMEOUT_S = 1.0
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 2.0
RESTART_S = 0.5


class Producer:
    """Publishes through the session at hand. `run` does the keeping, and must be running for anything to be sent."""

    def __init__(
        self, connect: Callable[[], AIOKafkaProducer], topic: str, *, partitions: int, replace_s: float
    ) -> None:
        self._connect = connect
        self._topic = topic
        self._partitions = partitions
        self._replace_s = replace_s
        self._session: Session | None = None
        self._usable = asyncio.Event()
        self._trouble: KafkaState = "starting"
        self._explained = ("", "")
        self.found_partitions = partitions  # as Kafka told last

    @property
    def differs(self) -> dict[str, int] | None:
        """The topic's partition count if it is not TOPIC_PARTITIONS, and how many of them are used."""
        found = self.found_partitions
        return None if found == self._partitions else {"found": found, "used": self._partitions}

    @property
    def state(self) -> KafkaState:
        """What the next publish would meet."""
        if self._session is None:
            return self._trouble
        return "ok" if self._session.healthy else "slow"

    def publish(self, records: Sequence[Record], *, timeout_s: float | None) -> Coroutine[Any, Any, None]:
        """Return when Kafka has acknowledged every record; raise as `Session.publish` does."""
        if self._session is None or not self._session.healthy:
            raise Unavailable
        return self._session.publish(records, timeout_s=timeout_s)

    async def usable(self) -> None:
        """Wait until the state is ok."""
        while self.state != "ok":
            self._usable.clear()
            await self._usable.wait()

    async def run(self) -> None:
        """Keep a session going until cancelled."""
        try:
            while True:
                if await self._start():
                    await self._watch()
                else:
                    await asyncio.sleep(RESTART_S)
        finally:
            if self._session is not None:
                session, self._session = self._session, None
                await session.stop(STOP_TIMEOUT_S)

    async def _start(self) -> bool:
        session = Session(self._connect(), self._topic)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                partitions = await session.start()
        except (KafkaError, OSError, TimeoutError, TopicMissing) as error:
            await session.abandon()
            self._explain("topic_missing" if isinstance(error, TopicMissing) else "away", type(error).__name__)
            return False
        except BaseException:
            await session.abandon()
            raise
        self._compare(partitions)
        if partitions < self._partitions:
            # There is no place for some patients: what is theirs waits in the spool, and in order everybody's.
            await session.abandon()
            self._explain("too_few_partitions", f"{partitions} of {self._partitions}")
            return False
        self._session = session
        self._usable.set()
        telemetry.KAFKA_REACHED()
        return True

    async def _watch(self) -> None:
        """Return when the session at hand is gone."""
        session = self._session
        assert session is not None
        while not session.hopeless(self._replace_s):
            await asyncio.sleep(WATCH_S)
            await session.reach(REACH_TIMEOUT_S)
            if session.healthy:
                self._usable.set()
            # What a topic that is deleted loses is no count to compare; the next start says that it is missing.
            if session.partitions and session.partitions != self.found_partitions:
                self._compare(session.partitions)
        reason = session.failed or "silent"
        self._session = None
        self._explain("away", reason)
        await session.abandon()
        telemetry.PRODUCER_REPLACED(reason=reason)

    def _compare(self, partitions: int) -> None:
        self.found_partitions = partitions
        if partitions != self._partitions:
            telemetry.PARTITIONS_DIFFER(topic=self._topic, expected=self._partitions, found=partitions)

    def _explain(self, trouble: KafkaState, error: str) -> None:
        if (trouble, error) != self._explained:
            telemetry.KAFKA_AWAY(state=trouble, error=error)
        self._trouble, self._explained = trouble, (trouble, error)
