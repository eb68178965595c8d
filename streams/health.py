"""Each stage's /live, /ready and /metrics, on an address of the operator's choice."""

from aiohttp import web
from prometheus_client import generate_latest

from models import telemetry
from streams.engine.app import Stage

_FINISHED = telemetry.gauge("partition_finished_offset", "Next offset to finish.", "stage", "topic", "partition")
_UNFINISHED = telemetry.gauge("partition_unfinished_batches", "Fetched, not finished.", "stage", "topic", "partition")
_OLDEST = telemetry.gauge("partition_oldest_unfinished_seconds", "Age of that.", "stage", "topic", "partition")
_STATE_MEMORY = telemetry.gauge("state_memory_bytes", "Memory of the stage's tables.", "stage")
_READY = telemetry.gauge("stage_ready", "1: restored and consuming.", "stage")


def serve(stage: Stage, *, host: str, port: int) -> None:
    """Answer on `host:port` while the stage runs; a port that is taken is said and does not stop the work."""

    async def begin() -> None:
        runner = web.AppRunner(_routes(stage), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            telemetry.HEALTH_PORT_TAKEN(stage=stage.settings.stage, address=f"{host}:{port}")

    stage.driver.at_start(begin)


def _routes(stage: Stage) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(_: web.Request) -> web.Response:
        health = stage.health()
        facts = {"ready": health.ready, "waiting_for": health.waiting_for, "partitions": len(health.partitions)}
        if stage.engine.unread:
            facts["records_nobody_reads"] = stage.engine.unread  # in partitions beyond TOPIC_PARTITIONS
        return web.json_response(facts, status=200 if health.ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        _measure(stage)
        return web.Response(
            body=generate_latest(telemetry.REGISTRY), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.add_routes([web.get("/live", live), web.get("/ready", ready), web.get("/metrics", metrics)])
    return app


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
