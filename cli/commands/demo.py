"""`metriport-streams demo` and `run`: the whole service on this machine, with samples or empty."""

import secrets
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from cli import interrupts, linkserver, local, output
from cli.broker import ports
from cli.demo import script
from cli.demo.reader import Reader, reader
from cli.demo.stack import Plan, Stack, plan, running
from cli.posting import ROUTE, post
from models import privacy, topics

ARRIVE_TIMEOUT_S = 60.0
PARTITIONS = "4"
WIDTH = 120

Once = Annotated[bool, typer.Option("--once", help="End by itself; exit code 0 only if everything arrived.")]


def demo(*, once: Once = False) -> None:
    """Start everything from nothing, post every sample, and show what came out."""
    with tempfile.TemporaryDirectory(prefix="metriport-streams-demo-") as folder:
        raise typer.Exit(interrupts.run(_demo(Path(folder), once=once)) or 0)


def run() -> None:
    """Start the service, empty and ready for real webhooks; a Kafka of its own unless one is given."""
    folder = Path("var")
    privacy.keep(folder, look_within=False)
    port = 0 if local.kafka_is_given() else ports.kept(local.BROKER_DIR)
    interrupts.run(_run(plan(folder, settings={}, kafka_port=port)))


async def _run(plan: Plan) -> None:
    async with running(plan, say=output.say) as stack:
        output.say(f"Kafka is at {stack.bootstrap_servers}; the log is {plan.log}.")
        output.say(f"Ready for webhooks at {plan.ingress_url}{ROUTE}. Ctrl-C ends it.")
        await stack.watch(output.say)


async def _demo(folder: Path, *, once: bool) -> int:
    """Return the exit code."""
    key = secrets.token_urlsafe(16)
    settings = {
        "METRIPORT_WEBHOOK_KEYS": key,
        "TOPIC_PREFIX": f"demo-{secrets.token_hex(3)}." if local.kafka_is_given() else "metriport.",
        "TOPIC_PARTITIONS": PARTITIONS,
        "INGRESS_PORT": "0",
        "WORKER_PORT": "0",
        "SPOOL_DIR": str(folder / "spool"),
        "STATE_DIR": str(folder / "state"),
        "BLOB_STORE_URL": f"file://{folder}/blobs",
    }
    async with (
        linkserver.serving() as links,
        running(
            plan(folder, settings=settings | {"FETCH_TRUSTED_ORIGINS": links}, kafka_port=ports.free(1)[0]),
            say=output.say,
        ) as stack,
        reader(stack.bootstrap_servers, settings["TOPIC_PREFIX"]) as found,
    ):
        complete = await _show(stack, found, key, links)
        if not complete:
            output.fail(stack.plan.said())
        if not once:
            await _stay(stack, found, key, links)
        return 0 if complete else 1


async def _show(stack: Stack, found: Reader, key: str, links: str) -> bool:
    """Post everything, show it, and return whether all that must come out did."""
    sent = list(script.posts(now=datetime.now(UTC), links=links))
    answers = await _post_all(stack.plan.ingress_url + ROUTE, sent, key)
    expected = script.expected(sent)
    complete = await found.wait_for(
        lambda found: script.complete(expected, found.counts, found.states.values()), timeout_s=ARRIVE_TIMEOUT_S
    )
    complete = complete and all(status == 200 for status, _ in answers)  # noqa: PLR2004 - HTTP's own number
    _print_sent(sent, answers)
    _print_topics(expected, found.counts)
    _print_patient(found)
    duplicates = sum(post.becomes == script.DUPLICATE for post in sent)
    output.say(
        f"{duplicates} duplicate, dropped. " + ("Everything arrived." if complete else "NOT everything arrived.")
    )
    return complete


async def _post_all(url: str, sent: list[script.Post], key: str) -> list[tuple[int, float]]:
    """Post one after another; return status and milliseconds of each answer."""
    answers = []
    async with aiohttp.ClientSession() as session:
        for each in sent:
            posted_at = time.monotonic()
            status, _ = await post(session, url, each.body, key=key.encode())
            answers.append((status, (time.monotonic() - posted_at) * 1000))
    return answers


def _console() -> Console:
    # Nobody watches: nothing is cut to the width of a window that is not there.
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def _print_sent(sent: list[script.Post], answers: list[tuple[int, float]]) -> None:
    table = Table(
        "sent, signed", "answer", "after", "becomes", title="What Metriport posts", title_justify="left", box=None
    )
    for each, (status, taken_ms) in zip(sent, answers, strict=True):
        table.add_row(each.name, str(status), f"{taken_ms:.0f} ms", each.becomes)
    _console().print(table)


def _print_topics(expected: Counter[str], counts: Counter[str]) -> None:
    table = Table("topic", "records", "expected", title="\nWhat came out", title_justify="left", box=None)
    for topic in topics.catalogue():
        if not topic.internal and (counts[topic.name] or expected[topic.name]):
            table.add_row(topic.name, str(counts[topic.name]), str(expected[topic.name] or "any"))
    _console().print(table)


def _print_patient(found: Reader) -> None:
    state = max(found.states.values(), key=lambda state: len(state.get("messages", {})), default=None)
    if state:
        _console().print("\nOne patient's state")
        output.print_document(state)


async def _stay(stack: Stack, found: Reader, key: str, links: str) -> None:
    posted = f"METRIPORT_WEBHOOK_KEYS={key} INGRESS_PORT={stack.plan.environment['INGRESS_PORT']}"
    output.say("\nIt goes on running; Ctrl-C ends it. Post more from another terminal:")
    output.say(f"  {posted} .venv/bin/metriport-streams trigger patient.admit --links {links}")
    while True:
        for topic, record in await found.read():
            output.print_line(f"{topic}  {record.partition}/{record.offset}")
