"""The ingress as a process: put together, run until told to stop, taken apart in order."""

import asyncio
import contextlib
import errno
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import uvloop
from aiohttp import web

from ingress import connection, descriptors
from ingress.app import App
from ingress.body import Inflight
from ingress.draining import Drain
from ingress.health import Health
from ingress.keeping import Keeper
from ingress.producer import Producer
from ingress.senders import Senders
from ingress.settings import SMALL_BODY_BYTES, IngressSettings
from ingress.spool import Spool
from ingress.webhook import Webhook
from models import report, telemetry, topics, tuning
from models.errors import Misconfigured

FINE, PROBLEM = 0, 1

_LOOK_S = 0.05


class _Wordless:
    """Stands where aiohttp wants a logger: its own would quote what came."""

    def exception(self, *_: object, exc_info: object = None) -> None:
        telemetry.FATAL(sentence="a connection ended in an error nobody foresaw", error=type(exc_info).__name__)

    def debug(self, *_: object, **__: object) -> None:
        """Say nothing."""

    warning = error = info = debug


HTTP: dict[str, Any] = {
    "access_log": None,
    "logger": _Wordless(),
    "keepalive_timeout": 75.0,  # longer than any proxy in front of us keeps a connection it believes to be open
    "lingering_time": 0,  # the last word is said by `app` and `senders`, without reading on
    "auto_decompress": False,
}


def run(settings: IngressSettings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code; raise `Misconfigured` before anything is served."""
    tuning.freeze()
    tuning.collect_seldom(20_000)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(settings))


async def serve(settings: IngressSettings) -> int:
    """Serve until told to stop. What was accepted by then is finished, within `stop_timeout_s`."""
    stop = _stop_signals()
    async with _parts(settings) as (app, keeper, background), listening(app, settings):
        ready = asyncio.create_task(_tell_when_ready(keeper))
        told = asyncio.create_task(stop.wait())
        await asyncio.wait([told, *background], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        ready.cancel()
        broken = any(task.done() for task in background)
        telemetry.STOPPING(reason="failed" if broken else "signal")
    telemetry.STOPPED()
    # The loop gives Ctrl-C back to Python, which has a traceback for it. All that is left is to end.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return PROBLEM if broken else FINE


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _tell_when_ready(keeper: Keeper) -> None:
    while not keeper.ready:  # noqa: ASYNC110 - it becomes so in several ways
        await asyncio.sleep(_LOOK_S)
    report.tell("ingress", "ready")


@contextlib.asynccontextmanager
async def _parts(settings: IngressSettings) -> AsyncIterator[tuple[App, Keeper, list[asyncio.Task[None]]]]:
    """Build everything behind the door, and take it apart again."""
    spool = Spool(settings.spool_dir, bytes_max=settings.spool_bytes_max, batch_max=settings.spool_batch_max)
    await spool.open()
    producer = Producer(
        lambda: connection.producer(settings),
        settings.topic_prefix + topics.WEBHOOKS,
        partitions=settings.topic_partitions,
        replace_s=settings.producer_replace_s,
    )
    keeper = Keeper(
        producer,
        spool,
        body_bytes_max=settings.body_bytes_max,
        publish_timeout_s=settings.publish_timeout_s,
        answer_timeout_s=settings.answer_timeout_s,
    )
    drain = Drain(
        spool,
        producer,
        keeper.gate,
        batch_max=settings.spool_batch_max,
        body_bytes_max=settings.body_bytes_max,
    )
    webhook = Webhook(
        keeper,
        keys=settings.webhook_keys,
        inflight=Inflight(settings.inflight_bytes_max - settings.small_bodies_bytes, small_bytes=SMALL_BODY_BYTES),
        body_bytes_max=settings.body_bytes_max,
        body_timeout_s=settings.body_timeout_s,
        clock=lambda: datetime.now(UTC),
    )
    background = [asyncio.create_task(producer.run()), asyncio.create_task(drain.run())]
    try:
        yield App(webhook=webhook, health=Health(keeper, kafka=producer, spool=spool)), keeper, background
    finally:
        for task in reversed(background):
            await _end(task)
        await spool.close()


@contextlib.asynccontextmanager
async def listening(app: App, settings: IngressSettings) -> AsyncIterator[list[str]]:
    """Have `app` answer senders; yields the addresses at which it does."""
    connections, backlog = _connections(settings.connections_max)
    senders = Senders(
        app.answer,
        connections_max=connections,
        head_bytes_max=settings.head_bytes_max,
        head_timeout_s=settings.head_timeout_s,
        **HTTP,
    )
    runner = web.ServerRunner(senders, shutdown_timeout=settings.stop_timeout_s)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.ingress_host, settings.ingress_port, backlog=backlog)
        try:
            await site.start()
        except OSError as error:
            where = f"{settings.ingress_host}:{settings.ingress_port}"
            why = (
                "is taken by another process"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used: {error.strerror}"
            )
            raise Misconfigured(f"INGRESS_HOST:INGRESS_PORT {where} {why}") from None
        addresses = [f"http://{host}:{port}" for host, port, *_ in runner.addresses]
        for address in addresses:
            telemetry.LISTENING(address=address)
        yield addresses
    finally:
        await runner.cleanup()


def _connections(connections_max: int) -> tuple[int, int]:
    """Return how many connections there may be, and how many may wait to be let in."""
    limit = descriptors.raised(connections_max)
    connections, backlog = descriptors.shared_out(limit, connections_max=connections_max)
    if connections < connections_max:
        telemetry.CONNECTIONS_LIMITED(
            sentence="the limit of open files allows fewer than CONNECTIONS_MAX; raise it (ulimit -n, LimitNOFILE)",
            connections=connections,
            descriptors=limit,
        )
    return connections, backlog


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    except Exception as error:  # noqa: BLE001 - the border of the process
        telemetry.FATAL(sentence="a part of the ingress ended", error=type(error).__name__)
