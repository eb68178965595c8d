"""`metriport-streams trigger`: post sample deliveries the way Metriport does."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import aiohttp
import typer

from cli import output, sampling
from cli.broker.errors import Unreachable
from cli.output import Json
from models import samples, signature
from models.settings import IngressSettings, load

TIMEOUT_S = 5.0  # Metriport's own
CONCURRENCY = 32
ROUTE = "/webhooks/metriport"


def trigger(
    name: Annotated[str, typer.Argument(metavar="TYPE", help="A sample, as in patient.admit; `list` shows them all.")],
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="As in patients.0.patientId=p-9.")
    ] = None,
    *,
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, each a message of its own.")] = 1,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="How many a second; as fast as it goes if not set.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where to post; this machine's ingress if not set.")] = None,
    links: Annotated[
        str | None, typer.Option(help="Origin to put into the links, as in http://127.0.0.1:9000.")
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Print what would be posted, and post nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Build sample deliveries with fresh ids and times, sign them and post them; exit code 1 if any was refused."""
    if name == "list":
        for each in samples.names():
            output.print_line(each)
        return
    bodies = _bodies(name, change or [], count, links)
    if show:
        for body in bodies:
            output.print_line(body.decode())
        return
    # Posting needs no Kafka, so it must not ask for one.
    settings = load(IngressSettings, kafka_bootstrap_servers="none:1")
    target = url or f"http://127.0.0.1:{settings.ingress_port}{ROUTE}"
    answers = asyncio.run(post_all(target, bodies, key=settings.webhook_keys[0], rate=rate))
    _tell(answers, as_json=as_json)
    raise typer.Exit(0 if set(answers.statuses) == {200} else 1)


class Answers:
    """What came back: how often each status, and how long it took."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []

    def took(self, share: float) -> float:
        """Return the seconds within which this share of the answers came."""
        return sorted(self.seconds)[min(int(len(self.seconds) * share), len(self.seconds) - 1)]


async def post_all(url: str, bodies: Iterator[bytes], *, key: bytes, rate: float | None = None) -> Answers:
    """Sign and post `bodies`, at most `rate` a second; raise `Unreachable` if nobody answers at `url`."""
    answers, places = Answers(), asyncio.Semaphore(CONCURRENCY)
    begun_at = time.monotonic()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:

        async def one(body: bytes) -> None:
            posted_at = time.monotonic()
            try:
                status, _ = await post(session, url, body, key=key)
            finally:
                places.release()
            answers.statuses[status] += 1
            answers.seconds.append(time.monotonic() - posted_at)

        try:
            async with asyncio.TaskGroup() as group:
                for number, body in enumerate(bodies):
                    if rate is not None:
                        await asyncio.sleep(max(0.0, begun_at + number / rate - time.monotonic()))
                    # A place first, then the task: a million deliveries are never all in memory.
                    await places.acquire()
                    group.create_task(one(body))
        except* Unreachable:
            unreachable = True
        else:
            unreachable = False
    if unreachable:
        raise Unreachable(f"Nobody answers at {url}. Is the ingress running?")
    return answers


async def post(session: aiohttp.ClientSession, url: str, body: bytes, *, key: bytes) -> tuple[int, bytes]:
    """Post one signed body; return status and answer. Raise `Unreachable` if nobody answers."""
    headers = {"content-type": "application/json", signature.HEADER: signature.sign(body, key=key)}
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, await response.read()
    except (aiohttp.ClientConnectionError, TimeoutError):
        raise Unreachable(f"Nobody answers at {url}. Is the ingress running?") from None


def _bodies(name: str, changes: list[str], count: int, links: str | None) -> Iterator[bytes]:
    sample = sampling.choose(name)
    for _ in range(count):
        delivery = sampling.fresh(sample, now=datetime.now(UTC))
        for assignment in changes:
            sampling.change(delivery, assignment)
        if links:
            # The stand-in for Metriport's links reads from the path whom its content is to be about.
            delivery = sampling.served_by(delivery, f"{links}/{sampling.patient_of(delivery)}")
        yield samples.encode(delivery)


def _tell(answers: Answers, *, as_json: bool) -> None:
    facts = {
        "sent": answers.statuses.total(),
        "statuses": {str(status): number for status, number in sorted(answers.statuses.items())},
        "p50_ms": round(answers.took(0.5) * 1000, 1),
        "p99_ms": round(answers.took(0.99) * 1000, 1),
    }
    if as_json:
        output.print_json(facts)
    else:
        statuses = ", ".join(f"{number} x {status}" for status, number in sorted(answers.statuses.items()))
        output.print_line(f"{statuses}; half within {facts['p50_ms']} ms, 99 % within {facts['p99_ms']} ms")
