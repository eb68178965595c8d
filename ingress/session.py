"""One aiokafka producer, from its start to the moment nobody trusts it any more.

An idempotent producer never gives up: with the broker gone its sends never end, nor does its `stop()`. So every send
here has a deadline of its own after which its result is unknown, and `abandon` ends a session without waiting for it.
What is leaned on of aiokafka beyond its API is in `abandon` and `reach`; a test fails when it changes.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from time import monotonic

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from ingress.records import Record
from models.errors import MetriportStreamsError, TooLarge

ABANDON_TIMEOUT_S = 1.0
# How late a send's deadline may be noticed.
TICK_S = 0.02


class NotPublished(MetriportStreamsError):
    """Kafka did not acknowledge all the records. They may be there all the same."""


class Unavailable(NotPublished):
    """Nothing was sent: there is no producer that could be trusted with it."""


class TopicMissing(MetriportStreamsError):
    """The topic does not exist, and creating it is not the ingress's business."""


class _Flight:
    """One call of `publish`: who waits, since when, and for how long."""

    __slots__ = ("_given_up", "_task", "started", "timeout_s")

    def __init__(self, task: "asyncio.Task[object] | None", started: float, timeout_s: float | None) -> None:
        assert task is not None
        self._task = task
        self._given_up = False
        self.started = started
        self.timeout_s = timeout_s

    def give_up(self) -> None:
        """Wake whoever waits."""
        if not self._given_up:
            self._given_up = True
            self._task.cancel()

    def was_given_up(self) -> bool:
        """Tell whether the cancellation that arrived was ours alone; it is then over."""
        return self._given_up and self._task.uncancel() == 0


class Session:
    """Sends through one producer and remembers how long it has kept us waiting."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self.failed: str | None = None
        self._silent_since: float | None = None
        # What is being sent, oldest first.
        self._sending: dict[_Flight, None] = {}
        self._clock: asyncio.TimerHandle | None = None
        self._acknowledged_at = monotonic()

    @property
    def healthy(self) -> bool:
        """Whether nothing is known against this session."""
        return self.failed is None and self._silent_since is None

    def hopeless(self, after_s: float) -> bool:
        """Whether it failed, or something it was given has had no answer for `after_s`."""
        now = monotonic()
        oldest = min([self._silent_since or now, *(flight.started for flight in self._sending)])
        return self.failed is not None or now - oldest > after_s

    @property
    def partitions(self) -> int:
        """The topic's partition count as Kafka told it last, 0 when there is no such topic."""
        return len(self._producer.client.cluster.partitions_for_topic(self._topic) or ())

    async def start(self) -> int:
        """Connect and return the topic's partition count; raise `KafkaError`, `OSError` or `TopicMissing`."""
        await self._producer.start()
        # All topics, because a request for one that is missing may create it, with the broker's partition count.
        cluster = await self._producer.client.fetch_all_metadata()
        if not cluster.partitions_for_topic(self._topic):
            raise TopicMissing
        return len(await self._producer.partitions_for(self._topic))

    async def publish(self, records: Sequence[Record], *, timeout_s: float | None) -> None:
        """Return when Kafka has acknowledged every record.

        Raises `NotPublished` when it has not within `timeout_s`, and `TooLarge` when it never will. Without a
        timeout this ends when the session does.
        """
        flight = _Flight(asyncio.current_task(), monotonic(), timeout_s)
        self._sending[flight] = None
        if self._clock is None and timeout_s is not None:
            self._tick()
        futures: list[asyncio.Future[object]] = []
        try:
            for record in records:
                sent = await self._producer.send(self._topic, record.value, record.key, headers=record.headers)
                futures.append(sent)
            for future in futures:
                await future
        except MessageSizeTooLargeError:
            # The broker's refusal has used up a sequence number: whatever follows would be out of order.
            self.failed = "too_large" if futures else self.failed
            raise TooLarge from None
        except asyncio.CancelledError:
            if not flight.was_given_up():
                raise
            raise NotPublished("timeout") from None
        except (KafkaError, OSError) as error:
            self.failed = type(error).__name__
            raise NotPublished(self.failed) from None
        finally:
            del self._sending[flight]
            for future in futures:
                if not future.done() or future.cancelled() or future.exception():
                    future.cancel()
        self._silent_since, self._acknowledged_at = None, monotonic()

    async def reach(self, timeout_s: float) -> None:
        """Ask the cluster something small unless it answered just now; an answer clears what is known against it."""
        if self.healthy and monotonic() - self._acknowledged_at < timeout_s:
            return
        started, answered = monotonic(), False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                answered = await self._producer.client.force_metadata_update()
        if answered:
            self._silent_since, self._acknowledged_at = None, monotonic()
        else:
            self._fall_silent(started)

    async def stop(self, timeout_s: float) -> None:
        """Close the connections, in peace if that is possible within `timeout_s`."""
        if self.healthy and not self._sending:
            with contextlib.suppress(TimeoutError, KafkaError, OSError):
                async with asyncio.timeout(timeout_s):
                    await self._producer.stop()
                    return
        await self.abandon()

    async def abandon(self) -> None:
        """End the session now: every send still waited for fails, and no task of it stays behind."""
        self.failed = self.failed or "abandoned"
        for flight in self._sending:
            flight.give_up()
        producer, client = self._producer, self._producer.client
        producer._closed = True  # noqa: SLF001 - `stop()` would wait for a flush that never comes
        sender = producer._sender.sender_task  # noqa: SLF001
        if sender is not None:
            sender.cancel()
        with contextlib.suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(ABANDON_TIMEOUT_S):
                await client.close()
        # Requests that failed with the connection wait for metadata that nobody fetches any more.
        waiting = client._md_update_fut = client._md_update_fut or asyncio.get_running_loop().create_future()  # noqa: SLF001
        waiting.cancel()
        # Cancelled once, the sender waits for its requests in flight; each further time, it gives one of them up.
        await _until(lambda: sender is None or sender.done() or not sender.cancel(), ABANDON_TIMEOUT_S)

    def _fall_silent(self, since: float) -> None:
        """Note that there was no answer, and let everybody who waits for one know, in the order they came."""
        if self._silent_since is None:
            self._silent_since = since
            for flight in self._sending:
                if flight.timeout_s is not None:
                    flight.give_up()

    def _tick(self) -> None:
        """Look at the clock for all sends together: a timer for each would cost as much as its hash."""
        self._clock = None
        oldest = next((flight for flight in self._sending if flight.timeout_s is not None), None)
        if oldest is None:
            return
        if monotonic() - oldest.started >= (oldest.timeout_s or 0):
            self._fall_silent(oldest.started)
            oldest.give_up()
        self._clock = asyncio.get_running_loop().call_later(TICK_S, self._tick)


async def _until(done: Callable[[], bool], timeout_s: float) -> None:
    end = monotonic() + timeout_s
    while not done() and monotonic() < end:  # noqa: ASYNC110 - nobody tells when a foreign task is over
        await asyncio.sleep(0.02)
