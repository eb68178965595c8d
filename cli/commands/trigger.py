"""`metriport-streams trigger`: post sample deliveries the way Metriport does."""

import asyncio
import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

import typer

from cli import output, sampling
from cli.output import Json
from cli.posting import ROUTE, Answers, post_all
from ingress.settings import AddressSettings, WebhookKeys
from models import samples
from models.errors import Misconfigured
from models.settings import load

INTERRUPTED = 130
UNREACHABLE = 3

# What a person does about an answer; the reasons are in the README.
_HINTS = {
    401: "401: signed with key 1 of {keys} in METRIPORT_WEBHOOK_KEYS as this command reads it, which the ingress at "
    "{url} does not accept. Compare its own setting.",
    404: "404: the ingress takes deliveries at " + ROUTE + ".",
    413: "413: the body is larger than BODY_BYTES_MAX of the ingress.",
    503: "503: neither Kafka nor the spool could keep it; ask /ready of the ingress.",
}


def trigger(
    name: Annotated[
        str, typer.Argument(metavar="TYPE", help="The sample to post, such as patient.admit; `list` shows them all.")
    ],
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change one value of the sample, such as payload.patientId=p-9; may be given several times.",
        ),
    ] = None,
    *,
    count: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many deliveries to post, each with a message id of its own.")
    ] = 1,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="How many to post a second; as fast as it goes if not given.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where to post; the ingress of this machine, at INGRESS_PORT, if not given.")
    ] = None,
    links: Annotated[
        str | None,
        typer.Option(help="Where the links of the sample shall point: an origin such as http://127.0.0.1:9000."),
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Print what would be posted, and post nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Build sample deliveries with fresh ids and times, sign them with the first webhook key and post them.

    Exit code 1 if any was refused, 3 if nobody answers.
    """
    if name == "list":
        output.print_json(list(samples.names())) if as_json else output.print_line("\n".join(samples.names()))
        return
    if links is not None:
        _must_be_http(links, "--links")
    bodies = _bodies(name, change or [], count, links)
    if show:
        for body in bodies:
            output.print_line(body.decode())
        return
    keys = load(WebhookKeys).webhook_keys
    target = url or f"{load(AddressSettings).url()}{ROUTE}"
    _must_be_http(target, "--url")
    answers, interrupted = Answers(), False
    try:
        asyncio.run(post_all(target, bodies, key=keys[0], answers=answers, rate=rate))
    except KeyboardInterrupt:
        interrupted = True
    _tell(answers, as_json=as_json)
    _explain(answers, target, keys=len(keys), asked=count)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if answers.unanswered:
        raise typer.Exit(UNREACHABLE)
    raise typer.Exit(0 if set(answers.statuses) == {200} else 1)


def _bodies(name: str, changes: list[str], count: int, links: str | None) -> Iterator[bytes]:
    """Return the bodies, made as they are taken; raise `Misconfigured` at once if they cannot be made."""
    sample = sampling.choose(name)
    tried = copy.deepcopy(sample)
    for assignment in changes:
        sampling.change(tried, assignment)
    return (_body(sample, changes, links) for _ in range(count))


def _body(sample: dict[str, object], changes: list[str], links: str | None) -> bytes:
    delivery = sampling.fresh(sample, now=datetime.now(UTC))
    for assignment in changes:
        sampling.change(delivery, assignment)
    if links:
        # The stand-in for Metriport's links reads from the path whom its content is to be about.
        delivery = sampling.served_by(delivery, f"{links}/{sampling.patient_of(delivery)}")
    return samples.encode(delivery)


def _must_be_http(url: str, option: str) -> None:
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine:
        raise Misconfigured(f"{option} is no address of HTTP; one is http://127.0.0.1:8080.")


def _tell(answers: Answers, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "sent": answers.statuses.total() + answers.unanswered,
            "accepted": answers.accepted,
            "statuses": {str(status): number for status, number in sorted(answers.statuses.items())},
            "unanswered": answers.unanswered,
            "p50_ms": _ms(answers.took(0.5)),
            "p99_ms": _ms(answers.took(0.99)),
        }
        output.print_json(facts)
    elif answers.statuses:
        statuses = ", ".join(f"{number} x {status}" for status, number in sorted(answers.statuses.items()))
        half, most = _ms(answers.took(0.5)), _ms(answers.took(0.99))
        output.print_line(f"{statuses}; half within {half} ms, 99 % within {most} ms")


def _explain(answers: Answers, url: str, *, keys: int, asked: int) -> None:
    if answers.unanswered:
        said = f" {answers.accepted} of {asked} were accepted before." if asked > 1 else ""
        unknown = f" Of {answers.unanswered} more it is not known." if answers.accepted else ""
        output.fail(f"{answers.problem}{said}{unknown}")
    for status in sorted(answers.statuses):
        if hint := _HINTS.get(status):
            output.fail(hint.format(keys=keys, url=url))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
