"""Sets up Faust for one stage: the app, its one table, the agent that takes batches, and what runs beside them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import faust
from faust.stores import STORES

from models.topic_creation import never_create_topics
from streams.engine.driver.assignor import OursOnly
from streams.engine.driver.state_memory import StateMemory
from streams.engine.driver.store import BatchStore
from streams.engine.driver.tables import BatchTables
from streams.engine.driver.transport import BatchTransport
from streams.engine.settings import EngineSettings
from streams.engine.work.engine import Engine
from streams.engine.work.positions import Positions

_STATE_OPEN_FILES_MAX = 1024  # of all local copies of the process

Act = Callable[[], Awaitable[None]]


class Driver:
    """Joins the group, hands batches to an engine, commits what it has finished, and keeps the local copy of the state.

    Made before the engine, which writes to `store`; `connect` joins the two. `end` ends the process.
    """

    def __init__(self, settings: EngineSettings, *, end: Callable[[BaseException | str], NoReturn]) -> None:
        self._settings = settings
        self._end = end
        never_create_topics()
        self.app = _app(settings)  # `faust -A` runs it
        self.store: BatchStore = _table(self.app, settings).data

    @property
    def positions(self) -> Positions:
        """How far each source partition is fetched, finished and committed."""
        positions: Positions = self.app.transport.positions
        return positions

    def silent_s(self) -> float:
        """Seconds since the group last heard from us."""
        return float(self.app.consumer.silent_s())

    def connect(
        self,
        engine: Engine,
        *,
        restore: Callable[[frozenset[int]], Awaitable[None]],
        leave: Act,
        stopping: Callable[[], None],
    ) -> None:
        """Give the batches to `engine`.

        `restore` is called with the partition numbers that were assigned, `leave` when the app has stopped reading,
        `stopping` as soon as the process is asked to stop.
        """

        async def left(*_: Any, **__: Any) -> None:
            await leave()

        self.app.transport = BatchTransport(
            self.app.conf.broker_consumer,
            self.app,
            settings=self._settings,
            engine=engine,
            stopping=stopping,
            end=self._end,
        )
        self.app.tables.restore, self.app.tables.die = restore, self._end
        self.app.on_before_shutdown.connect(left)  # Faust has waited for the batches by then
        _agent(self.app, engine, self._settings)

    def at_start(self, act: Act) -> None:
        """Call `act` once, when the app runs."""
        self.app.task(act)

    def every(self, interval_s: float, act: Act) -> None:
        """Call `act` again and again while the app runs."""
        self.app.timer(interval=interval_s)(act)

    def run(self) -> None:
        """Run on the loop that was there when this was made, until SIGTERM or SIGINT; never returns."""
        process = faust.Worker(self.app, quiet=True, redirect_stdouts=False, override_logging=False)
        process.spinner = None  # quiet or not, Faust would draw one into the log
        try:
            process.execute_from_commandline()
        except Exception as error:  # noqa: BLE001 - a border of the process: Faust would print what it knows of the record
            self._end(error)


def credentials(security: Mapping[str, Any]) -> Any:
    """Return Faust's `broker_credentials` for what an aiokafka client would be given, None for an open Kafka."""
    context = security.get("ssl_context")
    if "sasl_mechanism" in security:
        return faust.SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            mechanism=security["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


def _app(settings: EngineSettings) -> Any:
    STORES.aliases["batch"] = "streams.engine.driver.store:BatchStore"
    servers = [f"kafka://{server}" for server in settings.bootstrap_servers.split(",")]
    return faust.App(
        settings.app_id,
        broker=servers,
        broker_credentials=credentials(settings.security),
        datadir=settings.state_dir / settings.stage,
        store="batch://",
        TableManager=BatchTables,
        PartitionAssignor=OursOnly,
        table_standby_replicas=0,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,  # topics are made beforehand, with the right settings
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,  # Faust's would serve the tables to anyone, on every address
        worker_redirect_stdouts=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=settings.fetch_bytes_max,
        broker_max_poll_records=settings.batch_records_max,
        broker_max_poll_interval=86400.0,  # to leave the group in silence is worse; the watchdog decides
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_interval_s,
        broker_request_timeout=max(settings.request_timeout_s, settings.session_timeout_s),  # Faust insists
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        stream_wait_empty=True,
    )


def _table(app: Any, settings: EngineSettings) -> Any:
    table = app.Table(
        "state",
        partitions=settings.partitions,
        key_type=bytes,
        value_type=bytes,
        options={"driver": "rocksdict"},
    )
    table.data.memory = StateMemory(
        settings.state_memory_bytes_max,
        partitions=settings.partitions,
        open_files_max=_STATE_OPEN_FILES_MAX,
    )
    return table


def _agent(app: Any, engine: Engine, settings: EngineSettings) -> None:
    source = app.topic(
        *settings.sources, key_type=bytes, value_type=bytes, value_serializer="raw", partitions=settings.partitions
    )

    async def batches(stream: Any) -> None:
        async for event in stream.noack().events():
            message, batch = event.message, event.value
            try:
                accepted = app.transport.positions.accept((message.topic, message.partition), batch)
            except Exception as error:  # noqa: BLE001 - Faust would take the batch for done
                app.transport.die(error)
            if accepted:
                engine.feed(message.partition, batch, event.ack)
            else:
                event.ack()  # moves nothing, only forgets the event

    app.agent(source, name=f"{settings.app_id}.batches")(batches)
