"""What `/live`, `/ready` and `/metrics` say."""

import pytest

from models import telemetry


@pytest.mark.parametrize(
    ("states", "held", "status", "path"),
    [
        pytest.param(("ok", "ok"), 0, 200, "kafka", id="all is well"),
        pytest.param(("slow", "ok"), 0, 200, "spool", id="Kafka is slow"),
        pytest.param(("away", "ok"), 3, 200, "spool", id="Kafka is away"),
        pytest.param(("ok", "ok"), 3, 200, "spool", id="draining"),
        pytest.param(("ok", "off"), 0, 200, "kafka", id="no spool wanted"),
        pytest.param(("ok", "damaged"), 3, 200, "kafka", id="the spool cannot be read"),
        pytest.param(("ok", "full"), 0, 200, "kafka", id="no room, but nothing waits"),
        pytest.param(("ok", "full"), 3, 503, "spool", id="no room behind those that wait"),
        pytest.param(("away", "full"), 3, 503, "spool", id="no way left"),
        pytest.param(("away", "off"), 0, 503, "spool", id="no spool and no Kafka"),
        pytest.param(("topic_missing", "damaged"), 0, 503, "spool", id="nothing works"),
    ],
)
async def test_ready_says_which_way_is_in_use(session, kafka, spool, states, held, status, path):
    kafka.state, spool.state = states
    spool.held = [object()] * held

    async with session.get("/ready") as response:
        answer = await response.json()

    assert response.status == status
    assert answer == {"ready": status == 200, "kafka": states[0], "spool": states[1], "path": path}


async def test_live_answers_while_nothing_else_works(session, kafka, spool):
    kafka.state, spool.state = "away", "damaged"

    async with session.get("/live") as response:
        assert response.status == 200


async def test_received_is_acknowledged_refused_or_a_ping(deliver, admit):
    def total(name: str) -> float:
        samples = (sample for metric in telemetry.REGISTRY.collect() for sample in metric.samples)
        return sum(sample.value for sample in samples if sample.name == f"metriport_{name}_total")

    names = ("deliveries_received", "deliveries_acknowledged", "deliveries_refused", "pings_answered")
    before = [total(name) for name in names]

    await deliver(admit())
    await deliver(admit(), headers={"x-metriport-signature": "no"})
    await deliver(b"{}", headers={"Content-Encoding": "gzip"})
    await deliver(b'{"ping": "abc"}')

    assert [total(name) - was for name, was in zip(names, before, strict=True)] == [4, 1, 2, 1]


async def test_metrics_are_prometheus_text(session):
    async with session.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert "metriport_deliveries_received_total" in await response.text()


async def test_ready_tells_of_partitions_that_somebody_added(session, kafka):
    kafka.differs = {"found": 16, "used": 12}

    async with session.get("/ready") as response:
        answer = await response.json()

    assert (response.status, answer["partitions"]) == (200, {"found": 16, "used": 12})
