"""`metriport-streams doctor`: whether this installation can do its work, and what to change if not."""

import asyncio
from dataclasses import asdict

import typer

from cli import checkup, output
from cli.checkup import Finding
from cli.output import Json
from ingress.settings import IngressSettings
from models.settings import CatalogueSettings, load
from streams.settings import StageSettings


def doctor(*, as_json: Json = False) -> None:
    """Look at the settings, the folders, Kafka, its topics and the running processes; change nothing."""
    findings = asyncio.run(_findings(load(IngressSettings), load(StageSettings), load(CatalogueSettings)))
    if as_json:
        output.print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            (output.print_line if finding.well else output.fail)(
                f"{'well ' if finding.well else 'WRONG'}  {finding.what:<11} {finding.says}"
            )
    raise typer.Exit(checkup.exit_code(findings))


async def _findings(ingress: IngressSettings, worker: StageSettings, catalogue: CatalogueSettings) -> list[Finding]:
    return [
        checkup.keys(ingress),
        checkup.sizes(ingress),
        checkup.folder("spool", ingress.spool_dir, free_bytes_min=ingress.spool_bytes_max),
        checkup.spools(ingress.spool_dir),
        checkup.folder("state", worker.state_dir),
        *await checkup.topics(catalogue),
        await checkup.removals_held(ingress),
        *await checkup.processes(ingress, worker),
    ]
