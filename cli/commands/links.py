"""`metriport-streams linkserver`: a stand-in for Metriport's presigned links, to see fetching work offline."""

import asyncio
from typing import Annotated

import typer

from cli import linkserver, output


def serve(port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on, at 127.0.0.1.")] = 9000) -> None:
    """Serve sample documents, bundles and results for `trigger --links`, until Ctrl-C."""
    asyncio.run(_serve(port))


async def _serve(port: int) -> None:
    async with linkserver.serving(port=port) as origin:
        output.say(f"Serving links at {origin}. The worker must trust it: FETCH_TRUSTED_ORIGINS={origin}")
        output.say(f"Then: metriport-streams trigger medical.consolidated-data --links {origin}")
        await asyncio.Event().wait()
