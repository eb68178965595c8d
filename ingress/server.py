"""The ingress as a process: put together, run until told to stop, taken apart in order."""

import asyncio
import contextlib
import errno
import gc
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import uvloop
from aiohttp import web

from ingress import connection
from ingress.app import create_app
from ingress.body import Inflight
from ingress.draining import Drain
from ingress.health import Health
from ingress.keeping import Keeper
from ingress.producer import Producer
from ingress.spool import Spool
from ingress.webhook import Webhook
from models import telemetry, topics
from models.errors import Misconfigured
from models.settings import IngressSettings

FINE, PROBLEM = 0, 1


class _Unreadable:
    """Stands where aiohttp wants a logger: its own would quote the bytes that were not HTTP."""

    def exception(self, *_: object, exc_info: object = None) -> None:
        telemetry.HTTP_UNREADABLE(error=type(exc_info).__name__)

    def debug(self, *_: object, **__: object) -> None:
        """Say nothing."""

    warning = error = info = debug


HTTP: dict[str, Any] = {
    "access_log": None,
    "logger": _Unreadable(),
    "keepalive_timeout": 75.0,  # longer than any proxy in front of us keeps a connection it believes to be open
    "lingering_time": 0,  # `app` says the last word itself, without reading on
    "auto_decompress": False,
}


def run(settings: IngressSettings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code; raise `Misconfigured` before anything is served."""
    # Requests come and go young; looking through everything for cycles every 700 objects is most of what they cost.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(settings))


async def serve(settings: IngressSettings) -> int:
    """Serve until told to stop. What was accepted by then is finished, within `stop_timeout_s`."""
    stop = _stop_signals()
    async with _parts(settings) as (app, background), _listening(app, settings):
        told = asyncio.create_task(stop.wait())
        await asyncio.wait([told, *background], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        broken = any(task.done() for task in background)
        telemetry.STOPPING(reason="failed" if broken else "signal")
    telemetry.STOPPED()
    return PROBLEM if broken else FINE


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


@contextlib.asynccontextmanager
async def _parts(settings: IngressSettings) -> AsyncIterator[tuple[web.Application, list[asyncio.Task[None]]]]:
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
        inflight=Inflight(settings.inflight_bytes_max),
        body_bytes_max=settings.body_bytes_max,
        body_timeout_s=settings.body_timeout_s,
        clock=lambda: datetime.now(UTC),
    )
    background = [asyncio.create_task(producer.run()), asyncio.create_task(drain.run())]
    try:
        yield create_app(webhook=webhook, health=Health(keeper, kafka=producer, spool=spool)), background
    finally:
        for task in reversed(background):
            await _end(task)
        await spool.close()


@contextlib.asynccontextmanager
async def _listening(app: web.Application, settings: IngressSettings) -> AsyncIterator[None]:
    runner = web.AppRunner(app, shutdown_timeout=settings.stop_timeout_s, **HTTP)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.ingress_host, settings.ingress_port, backlog=1024)
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
        for host, port, *_ in runner.addresses:
            telemetry.LISTENING(address=f"http://{host}:{port}")
        yield
    finally:
        await runner.cleanup()


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    except Exception as error:  # noqa: BLE001 - the border of the process
        telemetry.FATAL(sentence="a part of the ingress ended", error=type(error).__name__)
