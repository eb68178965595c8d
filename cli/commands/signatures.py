"""`metriport-streams sign` and `verify`: Metriport's signature, by hand."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import output
from cli.output import Json
from ingress.settings import WebhookKeys
from models import signature
from models.errors import Misconfigured
from models.settings import load

File = Annotated[Path, typer.Argument(help="File with the body, byte for byte; - is standard input.", allow_dash=True)]


def sign(file: File = Path("-"), *, as_json: Json = False) -> None:
    """Print the signature Metriport would send with this body, by the first of METRIPORT_WEBHOOK_KEYS."""
    signed = signature.sign(_body(file), key=_keys()[0])
    if as_json:
        output.print_json({signature.HEADER: signed})
    else:
        output.print_line(signed)


def verify(
    file: Annotated[
        Path, typer.Argument(help="File with the body, byte for byte; - is standard input.", allow_dash=True)
    ],
    signed: Annotated[
        str, typer.Argument(metavar="SIGNATURE", help="The signature that came with it, in x-metriport-signature.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Say which of METRIPORT_WEBHOOK_KEYS signed this body, by its place in the list; exit code 1 if none did."""
    body = _body(file)
    number = next((place for place, key in enumerate(_keys(), 1) if signature.matches(body, signed, key=key)), None)
    if as_json:
        output.print_json({"valid": number is not None, "key": number})
    elif number is None:
        output.fail("None of the keys signed this body.")
    else:
        output.print_line(f"Key {number} signed this body.")
    raise typer.Exit(0 if number else 1)


def _body(file: Path) -> bytes:
    if file == Path("-"):
        if sys.stdin.isatty():
            output.say("Reading the body from standard input, up to Ctrl-D.")
        body = sys.stdin.buffer.read()
    else:
        try:
            body = file.read_bytes()
        except OSError as problem:
            raise Misconfigured(f"{file}: {problem.strerror}.") from None
    if not body:
        raise Misconfigured(f"There is no body: {'standard input' if file == Path('-') else file} is empty.")
    return body


def _keys() -> tuple[bytes, ...]:
    return load(WebhookKeys).webhook_keys
