"""What `doctor` looks at, one function each: a finding says what is, and what to do if that is wrong."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from cli import removals
from cli.broker.errors import Unreachable
from cli.connection import administration
from cli.topics import kafka, plan
from ingress import set_aside
from ingress.settings import IngressSettings
from models import privacy
from models.errors import Misconfigured
from models.settings import CatalogueSettings, KafkaSettings
from models.stages import STAGES
from streams.settings import StageSettings

RECORD_MARGIN_BYTES = 64 * 1024
ASK_TIMEOUT_S = 3.0
HTTP_OK = 200


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. `unreachable` is a trouble of its own: nothing behind it could be looked at."""

    what: str
    well: bool
    says: str
    unreachable: bool = False


def keys(settings: IngressSettings) -> Finding:
    """Look at the webhook keys, without showing them."""
    trying = [number for number, key in enumerate(settings.webhook_keys, 1) if b"trying-out" in key]
    if trying:
        return Finding(what="keys", well=False, says=f"key {trying[0]} is not Metriport's; set METRIPORT_WEBHOOK_KEYS")
    return Finding(what="keys", well=True, says=f"{len(settings.webhook_keys)} accepted")


def sizes(settings: IngressSettings) -> Finding:
    """Look whether the largest body fits into a record, with its headers."""
    fits = settings.body_bytes_max + RECORD_MARGIN_BYTES <= settings.record_bytes_max
    says = f"bodies up to {settings.body_bytes_max} bytes, records up to {settings.record_bytes_max}"
    return Finding(what="sizes", well=fits, says=says if fits else f"{says}: raise RECORD_BYTES_MAX")


def folder(what: str, path: Path, *, free_bytes_min: int = 0) -> Finding:
    """Look whether a folder can be written to and has room."""
    nearest = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Finding(what=what, well=False, says=f"{path} cannot be written to")
    try:
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".doctor-") as probe:
            probe.write(b"room")
            probe.flush()
    except OSError as problem:
        return Finding(what=what, well=False, says=f"{path} cannot be written to: {problem.strerror}")
    if path.exists() and privacy.is_open(path):
        return Finding(
            what=what, well=False, says=f"{path} is open to other users of this machine: chmod -R go= {path}"
        )
    free = shutil.disk_usage(nearest).free
    well = free >= free_bytes_min
    says = f"{path}, {free >> 20} MiB free" + ("" if well else f", {free_bytes_min >> 20} MiB may be needed")
    return Finding(what=what, well=well, says=says)


def spools(folder: Path) -> Finding:
    """Look whether a damaged spool waits for a person."""
    waiting = set_aside.waiting(folder)
    says = "none"
    if waiting:
        says = f"{len(waiting)} damaged, {waiting[0].name} first: `metriport-streams spool list` says more"
    return Finding(what="set aside", well=not waiting, says=says)


async def topics(settings: CatalogueSettings) -> list[Finding]:
    """Look whether Kafka answers and whether its topics are as they should be."""
    wanted = plan.wanted(settings)
    try:
        async with administration(settings) as admin:
            found = await kafka.read(admin, [topic.name for topic in wanted])
    except Unreachable as problem:
        return [Finding(what="kafka", well=False, says=str(problem), unreachable=True)]
    differences = plan.differences(wanted, found)
    more = sum(each.harmless for each in differences)
    missing, differences = plan.missing(wanted, found), plan.harmful(differences)
    says = f"{len(found)} as they should be" + (f", {more} with partitions that are not used" if more else "")
    if missing or differences:
        says = f"{len(missing)} missing, {len(differences)} differences: `metriport-streams topics apply` names them"
    return [
        Finding(what="kafka", well=True, says=f"answers at {settings.kafka_bootstrap_servers}"),
        Finding(what="topics", well=not missing and not differences, says=says),
    ]


async def removals_held(settings: KafkaSettings) -> Finding:
    """Look whether removals wait for a person."""
    try:
        found = await removals.waiting(settings, removals.Filter())
    except (Unreachable, Misconfigured):
        return Finding(what="removals", well=False, says="cannot be looked at: see kafka and topics")
    count = sum(one.resources for one in found)
    patients = len({one.patient_id for one in found})
    says = f"{count} resources of {patients} patients are held: `metriport-streams fhir removals list` says more"
    return Finding(what="removals", well=not found, says=says if found else "none is held")


async def processes(ingress: IngressSettings, worker: StageSettings) -> list[Finding]:
    """Ask the ingress and each stage on this machine whether they are ready."""
    host = worker.worker_host.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - not listened on
    ports = {"ingress": ("127.0.0.1", ingress.ingress_port)}
    ports |= {name: (host, stage.port(worker.worker_port)) for name, stage in STAGES.items() if worker.worker_port}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)) as session:
        return [await _ready(session, what, f"http://{at[0]}:{at[1]}/ready") for what, at in ports.items()]


async def _ready(session: aiohttp.ClientSession, what: str, url: str) -> Finding:
    try:
        async with session.get(url) as response:
            facts = await response.json()
            if unread := facts.get("records_nobody_reads"):
                says = f"{unread} records are in partitions that nobody reads: set TOPIC_PARTITIONS alike everywhere"
                return Finding(what=what, well=False, says=says)
            if response.status == HTTP_OK:
                return Finding(what=what, well=True, says="ready")
            told = facts.get("waiting_for")
            says = f"not ready, waits for {told}" if told else f"not ready: ask {url}"
            return Finding(what=what, well=False, says=says)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return Finding(what=what, well=False, says=f"does not answer at {url}", unreachable=True)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 if all is well, 3 if something could not be reached, 1 for any other trouble."""
    if any(finding.unreachable for finding in findings):
        return 3
    return 0 if all(finding.well for finding in findings) else 1
