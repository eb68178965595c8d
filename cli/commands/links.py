"""`metriport-streams linkserver`: a stand-in for Metriport's presigned links, to see fetching work offline."""

import asyncio
import errno
import os
from typing import Annotated

import typer

from cli import linkserver, output
from cli.broker.errors import PortTaken


def serve(port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on, at 127.0.0.1.")] = 9000) -> None:
    """Serve sample documents, bundles and results for `trigger --links`, until Ctrl-C."""
    try:
        asyncio.run(_serve(port))
    except OSError as problem:
        if problem.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise PortTaken(
            f"Port {port} at 127.0.0.1 cannot be had: {os.strerror(problem.errno)}. Try another --port."
        ) from None


async def _serve(port: int) -> None:
    async with linkserver.serving(port=port) as origin:
        output.say(f"Serving links at {origin}. The worker must trust it: FETCH_TRUSTED_ORIGINS={origin}")
        output.say(f"Then: metriport-streams trigger medical.consolidated-data --links {origin}")
        await asyncio.Event().wait()
