"""`metriport-streams doctor`: whether this installation can do its work, and what to change if not."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import typer

from cli import checkup, local, output, settings_page
from cli.checkup import Finding
from cli.output import Json
from ingress.settings import AddressSettings, IngressSettings, SpoolFolderSettings, WebhookKeys
from models.errors import Misconfigured
from models.settings import CatalogueSettings, Settings, load, load_all, renamed, unknown
from models.stages import STAGES
from streams.settings import BlobStoreSettings, StageSettings, class_of

PARTS = ("ingress", "worker", *STAGES)

_Settings = TypeVar("_Settings", bound=Settings)


def doctor(
    *,
    part: Annotated[
        str | None, typer.Option("--for", metavar="PART", help=f"Only what is to run here: {', '.join(PARTS)}.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at settings, folders, the blob store, Kafka, its topics and the running processes; change nothing.

    A probe is written to the blob store and removed; a running ingress is sent a ping.
    """
    if part is not None and part not in PARTS:
        raise Misconfigured(f"There is no part {part!r}. There are: {', '.join(PARTS)}.")
    findings = asyncio.run(_findings(part))
    if as_json:
        output.print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "note " if finding.note else "well " if finding.well else "WRONG"
            output.print_line(f"{mark}  {finding.what:<11} {finding.says}")
    raise typer.Exit(checkup.exit_code(findings))


async def _findings(part: str | None) -> list[Finding]:
    with_ingress = part in {None, "ingress"}
    stages = tuple(STAGES) if part in {None, "worker"} else tuple({part} & set(STAGES))
    found, kafka = _settings(stages, with_ingress=with_ingress)
    if with_ingress:
        found += _of_ingress(kafka)
    if stages:
        found += await _of_stages(stages, kafka)
    entered = await _of_kafka(stages, kafka)
    found += entered
    if with_ingress and (address := _attempt(AddressSettings)):
        keys = _attempt(WebhookKeys)
        found += await checkup.ingress(address.url(), keys.webhook_keys if keys else ())
    if stages and (settings := _attempt(class_of(stages[0]), kafka)):
        found += await checkup.stages(stages, settings)
    return found


def _settings(stages: Sequence[str], *, with_ingress: bool) -> tuple[list[Finding], dict[str, Any]]:
    """Look at the settings of all that is to run here; return what to set for the Kafka of this folder, too."""
    kinds: list[type[Settings]] = [CatalogueSettings, *map(class_of, stages)]
    if with_ingress:
        kinds.insert(0, IngressSettings)
    kafka, trouble = dict[str, Any](), ""
    try:
        kafka = local.overrides()
        load_all(kinds, **kafka)
    except Misconfigured as problem:
        trouble = str(problem)
    sentences = [*renamed(), *unknown(settings_page.fields())]
    return [
        Finding(what="settings", well=not trouble, says=trouble or "complete"),
        *(Finding(what="settings", well=True, note=True, says=sentence) for sentence in sentences),
    ], kafka


def _of_ingress(kafka: dict[str, Any]) -> list[Finding]:
    found = []
    whole = _attempt(IngressSettings, kafka)
    if keys := _attempt(WebhookKeys):
        found.append(checkup.keys(keys))
    if whole:
        found.append(checkup.sizes(whole))
    if place := _attempt(SpoolFolderSettings):
        found.append(checkup.folder("spool", place.spool_dir, free_bytes_min=whole.spool_bytes_max if whole else 0))
        found.append(checkup.spools(place.spool_dir))
    return found


async def _of_stages(stages: Sequence[str], kafka: dict[str, Any]) -> list[Finding]:
    found = []
    if settings := _attempt(StageSettings, kafka):
        found.append(checkup.folder("state", settings.state_dir))
    if any(issubclass(class_of(stage), BlobStoreSettings) for stage in stages) and (
        blobs := _attempt(BlobStoreSettings)
    ):
        found.append(await checkup.blob_store(blobs.blob_store_url))
    return found


async def _of_kafka(stages: Sequence[str], kafka: dict[str, Any]) -> list[Finding]:
    settings = _attempt(CatalogueSettings, kafka)
    if settings is None:
        return []
    found = await checkup.topics(settings)
    if found[0].well and "bundles" in stages:
        found.append(await checkup.removals_held(settings))
    return found


def _attempt(kind: type[_Settings], overrides: dict[str, Any] | None = None) -> _Settings | None:
    """Return these settings, None if they are wrong, which was told."""
    try:
        return load(kind, **overrides or {})
    except Misconfigured:
        return None
