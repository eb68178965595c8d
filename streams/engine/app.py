"""Puts a job, the engine and Faust together: one Faust app per stage."""

# ruff: noqa: ANN401 - Faust, aiokafka and RocksDB have no types

import asyncio
from functools import partial
from typing import Any, NamedTuple

import faust
from aiokafka.errors import KafkaError
from faust.stores import STORES

from models import telemetry, tuning
from streams.engine.asking import create_nothing
from streams.engine.crashes.work_file import WorkFile
from streams.engine.driver.assignor import OursOnly
from streams.engine.driver.state_memory import StateMemory
from streams.engine.driver.tables import BatchTables
from streams.engine.driver.transport import BatchTransport
from streams.engine.fatal import Fatal, before_end, die
from streams.engine.health import Health, Signs, health_of
from streams.engine.job import Job, LongJob, hook
from streams.engine.log import header_names
from streams.engine.log.producer import Producer
from streams.engine.log.reader import KafkaLogs
from streams.engine.log.restore import Restoration, restore
from streams.engine.security import for_faust
from streams.engine.settings import EngineSettings
from streams.engine.watchdog import Watchdog
from streams.engine.work.engine import Engine

_BEAT_S = 1.0
_LOOK_S = 60.0
_COLLECT_AFTER = 50_000  # allocations


class Worker(NamedTuple):
    """One stage, ready to run."""

    app: Any
    engine: Engine
    settings: EngineSettings
    restoration: Restoration
    state_memory: StateMemory
    work_file: WorkFile

    def health(self) -> Health:
        """Return what this worker is doing."""
        signs = Signs(
            written_at=self.engine.written_at,
            moved_at=self.engine.moved_at,
            silent_s=self.app.consumer.silent_s,
            silent_max_s=self.settings.silent_max_s,
            late_after_s=self.settings.late_after_s,
            decision=self.engine.waits_for,
        )
        return health_of(self.app.transport.positions, self.restoration, signs)


def create(job: Job[Any] | LongJob, settings: EngineSettings) -> Worker:
    """Return the worker of a stage. A job with a method `bound` is told its engine, for `settle`, `get` and `scan`."""
    header_names.accept()
    work_file = WorkFile(settings.state_dir / settings.stage / "work")

    before_end(work_file.close)
    end = partial(die, stage=settings.stage)
    app = _app(settings)
    store = _table(app, settings).data
    producer = Producer(settings, silent_s=lambda: float(app.consumer.silent_s()), end=end)
    engine = Engine(
        job, sender=producer, state=store, logs=KafkaLogs(settings), settings=settings, end=end, work_file=work_file
    )
    app.transport = BatchTransport(
        app.conf.broker_consumer, app, settings=settings, engine=engine, stopping=work_file.close, end=end
    )
    restoration = Restoration()

    async def bring_back(partitions: frozenset[int]) -> None:
        before = restoration.records, restoration.seconds
        await restore(store, partitions, settings, restoration)
        records, seconds = restoration.records - before[0], round(restoration.seconds - before[1], 3)
        telemetry.RESTORED(records, stage=settings.stage, seconds=seconds, partitions=len(partitions))
        await producer.start()
        await engine.assigned(partitions)

    async def leave(*_: Any, **__: Any) -> None:
        await engine.revoked()
        await producer.stop()

    app.tables.restore, app.tables.die = bring_back, end
    app.on_before_shutdown.connect(leave)  # Faust has waited for the batches by then
    _agent(app, engine, settings)
    worker = Worker(app, engine, settings, restoration, store.memory, work_file)
    _watch(worker, end)
    if bound := hook(job, "bound"):
        bound(engine)
    return worker


def run(worker: Worker) -> None:
    """Run on the loop that was there when the worker was created, until SIGTERM or SIGINT; never returns."""
    tuning.freeze()
    tuning.collect_seldom(_COLLECT_AFTER)
    worker.work_file.tell_crashes()
    process = faust.Worker(worker.app, loglevel="WARNING", quiet=True, redirect_stdouts=False)
    process.spinner = None  # quiet or not, Faust would draw one into the log
    try:
        process.execute_from_commandline()
    except Exception as error:  # noqa: BLE001 - a border of the process: Faust would print what it knows of the record
        worker.app.transport.die(error)


def _app(settings: EngineSettings) -> Any:
    create_nothing()
    STORES.aliases["batch"] = "streams.engine.driver.store:BatchStore"
    servers = [f"kafka://{server}" for server in settings.bootstrap_servers.split(",")]
    return faust.App(
        settings.app_id,
        broker=servers,
        broker_credentials=for_faust(settings.security),
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
        open_files_max=settings.state_open_files_max,
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


def _watch(worker: Worker, end: Any) -> None:
    settings = worker.settings
    loops: list[asyncio.AbstractEventLoop] = []

    def blame(turns: bool) -> None:  # noqa: FBT001 - whether the loop does
        worker.engine.blame(None if turns else loops[0])

    watchdog = Watchdog(
        stuck_s=lambda: worker.health().stuck_s, timeout_s=settings.stuck_timeout_s, end=end, blame=blame
    )

    async def beat(_app: Any) -> None:
        watchdog.beat()

    async def begin(_app: Any) -> None:
        loops.append(asyncio.get_running_loop())
        watchdog.beat()
        watchdog.start()

    async def look(_app: Any) -> None:
        if not worker.health().ready:
            return
        try:
            await worker.engine.look_beyond()
        except Fatal as error:
            end(error)
        except (KafkaError, OSError, TimeoutError):
            pass  # the next look comes soon; whether Kafka is away is for others to notice

    worker.app.timer(interval=_BEAT_S)(beat)
    worker.app.timer(interval=_LOOK_S)(look)
    worker.app.task(begin)
