"""The ingress with its two ways of keeping replaced by fakes that remember what they were given."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import structlog
from aiohttp import ClientSession

from ingress import server
from ingress.app import App
from ingress.body import Inflight
from ingress.health import Health
from ingress.keeping import Keeper
from ingress.records import Delivery, Record
from ingress.settings import IngressSettings
from ingress.webhook import Webhook
from models import signature, telemetry

KEYS = (b"wh-key_0123456789abc", b"the-next-key")
BODY_BYTES_MAX = 200_000
SMALL_BYTES = 10_000
LIMITS = {"connections_max": 100, "head_bytes_max": 4096, "head_timeout_s": 0.3}


async def until(condition: Callable[[], object]) -> None:
    """Let everything else run until `condition` holds, for five seconds at the most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - conditions of fakes, which tell nobody
            await asyncio.sleep(0)


class FakeKafka:
    """Acknowledges everything, unless told to raise or to wait."""

    def __init__(self) -> None:
        self.published: list[Record] = []
        self.state = "ok"
        self.differs: dict[str, int] | None = None
        self.trouble: list[Exception] = []
        self.acknowledging = asyncio.Event()
        self.acknowledging.set()
        self.asked = 0

    async def publish(self, records: Sequence[Record], *, timeout_s: float | None) -> None:  # noqa: ARG002
        self.asked += 1
        await self.acknowledging.wait()
        if self.trouble:
            raise self.trouble.pop(0)
        self.published.extend(records)

    async def usable(self) -> None:
        await until(lambda: self.state == "ok")


class FakeSpool:
    """Holds deliveries in a list."""

    def __init__(self) -> None:
        self.held: list[Delivery] = []
        self.state = "ok"
        self.set_aside = 0
        self.trouble: Exception | None = None

    @property
    def backlog(self) -> int:
        return len(self.held)

    @property
    def usable(self) -> bool:
        return self.state in ("ok", "full")

    async def write(self, delivery: Delivery) -> None:
        if self.trouble:
            raise self.trouble
        self.held.append(delivery)


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


@pytest.fixture
def spool() -> FakeSpool:
    return FakeSpool()


@pytest.fixture
def keeper(kafka: FakeKafka, spool: FakeSpool) -> Keeper:
    return Keeper(kafka, spool, body_bytes_max=BODY_BYTES_MAX, publish_timeout_s=0.2, answer_timeout_s=0.5)


@pytest.fixture
def app(keeper: Keeper, kafka: FakeKafka, spool: FakeSpool) -> App:
    webhook = Webhook(
        keeper,
        keys=KEYS,
        inflight=Inflight(3 * BODY_BYTES_MAX, small_bytes=SMALL_BYTES),
        body_bytes_max=BODY_BYTES_MAX,
        body_timeout_s=0.3,
        clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    return App(webhook=webhook, health=Health(keeper, kafka=kafka, spool=spool))


Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest.fixture
def limits() -> dict[str, float]:
    return LIMITS


@pytest_asyncio.fixture
async def ingress(app: App, limits: dict[str, float]) -> AsyncIterator[str]:
    """The address of the application behind the same listener as in production."""
    settings = IngressSettings(
        _env_file=None,
        kafka_bootstrap_servers="none:1",
        metriport_webhook_keys=KEYS[0].decode(),
        ingress_host="127.0.0.1",
        ingress_port=0,
        stop_timeout_s=5,
        **limits,
    )
    async with server.listening(app, settings) as addresses:
        yield addresses[0]


@pytest_asyncio.fixture
async def session(ingress: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(ingress) as opened:
        yield opened


@pytest_asyncio.fixture
async def connect(ingress: str) -> AsyncIterator[Connect]:
    """Open a connection; all are closed at the end."""
    opened: list[asyncio.StreamWriter] = []

    async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = urlsplit(ingress)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        opened.append(writer)
        return reader, writer

    yield open_one
    for writer in opened:
        writer.close()


Deliver = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def deliver(session: ClientSession) -> Deliver:
    """Post the way Metriport does: signed, unless told otherwise; returns the status and the answer."""

    async def post(body: Any, *, signed: bytes | None = None, **options: Any) -> tuple[int, Any]:
        headers = {signature.HEADER: signature.sign(signed or body, key=KEYS[0])} | options.pop("headers", {})
        wanted = {name: value for name, value in headers.items() if value is not None}
        async with session.post("/webhooks/metriport", data=body, headers=wanted, **options) as response:
            return response.status, await response.json()

    return post


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Everything that was logged, at the lowest level."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    telemetry.configure(level="debug", style="json")
    yield lambda: log.getvalue() + caplog.text
    structlog.reset_defaults()


@pytest.fixture
def admit() -> Callable[..., bytes]:
    """Build an admission: `admit(patientId="p-9")`; a field of `meta` by its name."""

    def build(**changes: Any) -> bytes:
        meta = {"messageId": "m-1", "type": "patient.admit", "when": "2025-10-30T12:00:00.123Z"}
        payload = {"patientId": "p-1", "url": "https://example.s3.amazonaws.com/x"}
        for name, value in changes.items():
            (meta if name in meta else payload)[name] = value
        return json.dumps({"meta": meta, "payload": payload}).encode()

    return build
