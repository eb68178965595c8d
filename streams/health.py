"""Each stage's /live, /ready and /metrics, on an address of the operator's choice."""

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from models import telemetry
from streams.engine.app import Stage
from streams.health_server import HEADERS, Answer, HealthServer, as_json

_BY_PARTITION = ("stage", "topic", "partition")
_FINISHED = telemetry.gauge(
    "partition_finished_offset", "Offset up to which a source partition's records are finished.", *_BY_PARTITION
)
_UNFINISHED = telemetry.gauge(
    "partition_unfinished_batches", "Batches of a source partition that are fetched and not finished.", *_BY_PARTITION
)
_OLDEST = telemetry.gauge(
    "partition_oldest_unfinished_seconds",
    "Seconds since the oldest unfinished batch of a source partition was fetched.",
    *_BY_PARTITION,
)
_STATE_MEMORY = telemetry.gauge("state_memory_bytes", "Memory that the stage's tables take, in bytes.", "stage")
_READY = telemetry.gauge("stage_ready", "1 while the stage has its state and reads its topics, else 0.", "stage")


def serve(stage: Stage, *, host: str, port: int) -> None:
    """Answer on `host:port` while the stage runs; a port that is taken is said and does not stop the work."""

    async def begin() -> None:
        try:
            await asyncio.get_running_loop().create_server(HealthServer(answers(stage)), host, port)
        except OSError:
            telemetry.HEALTH_PORT_TAKEN(stage=stage.settings.stage, address=f"{host}:{port}")

    stage.driver.at_start(begin)


def answers(stage: Stage) -> dict[str, Answer]:
    """Return what is answered on each path."""

    def live() -> web.Response:
        return as_json({"live": True})

    def ready() -> web.Response:
        health = stage.health()
        facts = {
            "stage": stage.settings.stage,
            "ready": health.ready,
            "waiting_for": health.waiting_for,
            "partitions": len(health.partitions),
        }
        if stage.engine.unread:
            facts["records_nobody_reads"] = stage.engine.unread  # in partitions beyond TOPIC_PARTITIONS
        return as_json(facts, status=200 if health.ready else 503)

    def metrics() -> web.Response:
        _measure(stage)
        return web.Response(
            body=generate_latest(telemetry.REGISTRY), headers=HEADERS | {"Content-Type": CONTENT_TYPE_LATEST}
        )

    return {"/live": live, "/ready": ready, "/metrics": metrics}


def _measure(stage: Stage) -> None:
    name, health = stage.settings.stage, stage.health()
    _READY.labels(name).set(health.ready)
    _STATE_MEMORY.labels(name).set(stage.state_bytes)
    for gauge in (_FINISHED, _UNFINISHED, _OLDEST):
        gauge.clear()  # partitions that have another owner now are his to tell
    for (topic, partition), progress in health.partitions.items():
        _FINISHED.labels(name, topic, partition).set(progress.finished or 0)
        _UNFINISHED.labels(name, topic, partition).set(progress.unfinished_batches)
        _OLDEST.labels(name, topic, partition).set(progress.oldest_unfinished_s)
