"""Command lines that work as they stand, shown below the help of each command."""

import inspect

import typer

NAME = "metriport-streams"

EXAMPLES: dict[str, tuple[str, ...]] = {
    "sign": ("sign body.json", "sign - < body.json"),
    "verify": ('verify body.json "$SIGNATURE"',),
    "trigger": (
        "trigger list",
        "trigger patient.admit --set payload.patientId=p-9",
        "trigger patient.admit --count 1000 --rate 50 --json",
    ),
    "linkserver": ("linkserver --port 9000",),
    "ingress": ("ingress",),
    "worker": ("worker", "worker links", "worker --resume deliveries"),
    "tail": (
        "tail",
        "tail quarantine.deliveries --no-follow",
        "tail fhir.changes --since 1h --patient ID",
        "tail webhooks --message-id ID --no-follow --values --json",
    ),
    "doctor": ("doctor", "doctor --json"),
    "demo": ("demo --once",),
    "run": ("run",),
    "broker start": ("broker start --port 9092",),
    "broker stop": ("broker stop",),
    "broker status": ("broker status --json",),
    "topics apply": ("topics apply", "topics apply --mend"),
    "topics list": ("topics list", "topics list --groups", "topics list --json"),
    "topics accept": ("topics accept", "topics accept webhooks/3"),
    "patient show": ("patient show ID", "patient show ID --at 2026-01-31T12:00:00Z --json"),
    "bulk show": ("bulk show REQUEST_ID --rows",),
    "quarantine list": ("quarantine list", "quarantine list --stage links --from 7d --json"),
    "quarantine show": ("quarantine show --reason unknown_shape --limit 20",),
    "quarantine release": (
        "quarantine release --stage deliveries --reason unknown_shape",
        "quarantine release metriport.quarantine.links/3/17 --yes",
    ),
    "quarantine drop": ("quarantine drop --type ping --because mistake --yes",),
    "replay plan": (
        "replay plan patient.admit --from 7d --patient ID",
        "replay plan fhir.changes --missing-in my.topic",
    ),
    "replay apply": ("replay apply replay-ID.json --to my.topic --rate 100",),
    "fhir check": ("fhir check bundle.json", "fhir check exports/ --level lint", "fhir check - < resources.ndjson"),
    "drift list": ("drift list", "drift list --type patient.admit --json"),
    "drift accept": ("drift accept payload.newField --type patient.admit",),
    "fhir removals list": ("fhir removals list --patient ID",),
    "fhir removals apply": ("fhir removals apply --snapshot ID --type Observation --yes",),
    "fhir removals discard": ("fhir removals discard --patient ID --yes",),
    "spool list": ("spool list",),
    "spool salvage": ("spool salvage",),
    "spool drop": ("spool drop --yes",),
}


def paragraphs(text: str) -> str:
    """Return a docstring with each paragraph on one line: Typer would keep the line ends of the source."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def add(app: typer.Typer, path: str = "") -> None:
    """Put the examples below the help of every command of `app`, and let the help fill the lines of a terminal."""
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        command.help = paragraphs(inspect.getdoc(command.callback) or "")
        if lines := EXAMPLES.get(f"{path}{name}"):
            # Typer prints each paragraph of an epilog on a line of its own.
            command.epilog = "\n\n".join(("Examples:", *(f"{NAME} {line}" for line in lines)))
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add(group.typer_instance, f"{path}{group.name} ")
