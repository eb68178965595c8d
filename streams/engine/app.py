"""Puts a job, the engine and its driver together: one process per stage."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from aiokafka.errors import KafkaError

from models import telemetry, tuning
from streams.engine.crashes.work_file import WorkFile
from streams.engine.driver.app import Driver
from streams.engine.fatal import Fatal, before_end, die
from streams.engine.health import Health, Signs, health_of
from streams.engine.job import Job
from streams.engine.kafka import header_names
from streams.engine.kafka.reader import KafkaLogs
from streams.engine.kafka.restore import Restoration, restore
from streams.engine.kafka.sender import KafkaSender
from streams.engine.settings import EngineSettings
from streams.engine.watchdog import Watchdog
from streams.engine.work.engine import Engine

_BEAT_S = 1.0
_LOOK_S = 60.0
_COLLECT_AFTER = 50_000  # allocations


class Stage(NamedTuple):
    """One stage, ready to run."""

    driver: Driver
    engine: Engine
    settings: EngineSettings
    restoration: Restoration
    work_file: WorkFile

    @property
    def app(self) -> Any:  # noqa: ANN401 - Faust has no types
        """The Faust app, for `faust -A`."""
        return self.driver.app

    @property
    def state_bytes(self) -> int:
        """Bytes of memory that the local copies of the state take."""
        return self.driver.store.memory.used_bytes

    def health(self) -> Health:
        """Return what this stage is doing."""
        signs = Signs(
            written_at=self.engine.written_at,
            moved_at=self.engine.moved_at,
            silent_s=self.driver.silent_s,
            silent_max_s=self.settings.silent_max_s,
            late_after_s=self.settings.late_after_s,
            decision=self.engine.needs_decision,
        )
        return health_of(self.driver.positions, self.restoration, signs)


def create(job: Job, settings: EngineSettings) -> Stage:
    """Return a stage that runs `job`."""
    header_names.accept()
    work_file = WorkFile(settings.state_dir / settings.stage / "work")

    def end(why: BaseException | str) -> NoReturn:
        die(why, stage=settings.stage)

    before_end(work_file.close)
    driver = Driver(settings, end=end)
    sender = KafkaSender(settings, silent_s=driver.silent_s, end=end)
    engine = Engine(
        job,
        sender=sender,
        state=driver.store,
        logs=KafkaLogs(settings),
        settings=settings,
        end=end,
        work_file=work_file,
    )
    restoration = Restoration()

    async def bring_back(partitions: frozenset[int]) -> None:
        before = restoration.records, restoration.seconds
        await restore(driver.store, partitions, settings, restoration)
        records, seconds = restoration.records - before[0], round(restoration.seconds - before[1], 3)
        telemetry.RESTORED(records, stage=settings.stage, seconds=seconds, partitions=len(partitions))
        await sender.start()
        await engine.assigned(partitions)

    async def leave() -> None:
        await engine.revoked()
        await sender.stop()

    driver.connect(engine, restore=bring_back, leave=leave, stopping=work_file.close)
    stage = Stage(driver, engine, settings, restoration, work_file)
    _watch(stage, end)
    job.bound(engine)
    return stage


def run(stage: Stage) -> None:
    """Run on the loop that was there when the stage was created, until SIGTERM or SIGINT; never returns."""
    tuning.freeze()
    tuning.collect_seldom(_COLLECT_AFTER)
    stage.work_file.tell_crashes()
    stage.driver.run()


def _watch(stage: Stage, end: Callable[[BaseException | str], NoReturn]) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    def blame(turns: bool) -> None:  # noqa: FBT001 - whether the loop does
        stage.engine.blame(None if turns else loops[0])

    watchdog = Watchdog(
        stuck_s=lambda: stage.health().stuck_s, timeout_s=stage.settings.stuck_timeout_s, end=end, blame=blame
    )

    async def beat() -> None:
        watchdog.beat()

    async def begin() -> None:
        loops.append(asyncio.get_running_loop())
        watchdog.beat()
        watchdog.start()

    async def look() -> None:
        if not stage.health().ready:
            return
        try:
            await stage.engine.check_partition_counts()
        except Fatal as error:
            end(error)
        except (KafkaError, OSError, TimeoutError):
            pass  # the next look comes soon; whether Kafka is away is for others to notice

    stage.driver.every(_BEAT_S, beat)
    stage.driver.every(_LOOK_S, look)
    stage.driver.at_start(begin)
