"""What `doctor` looks at, one function each: a finding says what is, and what to do if that is wrong."""

import asyncio
import contextlib
import os
import shutil
import ssl
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import url2pathname

import aiohttp
import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from cli import removals
from cli.broker.errors import Unreachable
from cli.broker.readiness import somebody_listens
from cli.connection import administration
from cli.posting import ROUTE, post
from cli.topics import kafka, plan
from ingress import set_aside
from ingress.settings import IngressSettings, WebhookKeys
from models import privacy
from models.errors import Misconfigured
from models.security import ssl_context
from models.settings import CatalogueSettings, KafkaSettings
from streams.blob_store import open_store
from streams.settings import StageSettings

RECORD_MARGIN_BYTES = 64 * 1024
ASK_TIMEOUT_S = 3.0
PROBE_TIMEOUT_S = 15.0
HTTP_OK = 200
HTTP_UNAUTHORIZED = 401


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. `unreachable` is a trouble of its own: nothing behind it could be looked at."""

    what: str
    well: bool
    says: str
    unreachable: bool = False
    note: bool = False  # nothing is wrong; a person should know all the same


def keys(settings: WebhookKeys) -> Finding:
    """Look at the webhook keys, without showing them."""
    trying = [number for number, key in enumerate(settings.webhook_keys, 1) if b"trying-out" in key]
    if trying:
        return Finding(
            what="keys",
            well=False,
            says=f"key {trying[0]} is the example of docker-compose.yml, which everybody knows: set"
            " METRIPORT_WEBHOOK_KEYS to the key that Metriport's dashboard shows",
        )
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


async def blob_store(url: str) -> Finding:
    """Write an object to the blob store, read it and remove it; without a folder yet, look where it would be."""
    scheme, _, rest = url.partition("://")
    if scheme == "file" and not os.path.exists(path := url2pathname(rest)):  # noqa: ASYNC240, PTH110 - one look
        return folder("blob store", Path(path))
    # What stands before an @ may be a password.
    where = f"{scheme}://{rest.rpartition('@')[2]}"
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            well = await _in_thread(lambda: _probe(open_store(url), f".doctor/{uuid.uuid4()}"))
    except Misconfigured as problem:
        return Finding(what="blob store", well=False, says=str(problem))
    except TimeoutError:
        says = f"{where} does not answer within {PROBE_TIMEOUT_S:g} s"
        return Finding(what="blob store", well=False, says=says, unreachable=True)
    except (BaseError, OSError) as problem:
        says = f"{where} cannot be written, read and removed from: {type(problem).__name__}"
        return Finding(what="blob store", well=False, says=says)
    says = "takes, gives and removes an object" if well else "gives other bytes than it took"
    return Finding(what="blob store", well=well, says=f"{where} {says}")


def _probe(store: ObjectStore, key: str) -> bool:
    obstore.put(store, key, b"probe")
    read = obstore.get(store, key).bytes()
    obstore.delete(store, key)
    return bytes(read) == b"probe"


async def _in_thread(work: Callable[[], bool]) -> bool:
    """Return what `work` returns. Its thread is left alone when nobody waits for it any more.

    The library's own futures may outlive the loop, and then abort the process as it ends.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def finish(result: bool | BaseException) -> None:  # noqa: FBT001 - what came of it
        if answer.done():
            return
        if isinstance(result, BaseException):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    def run() -> None:
        try:
            result: bool | BaseException = work()
        except (Misconfigured, BaseError, OSError) as error:
            result = error
        with contextlib.suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(finish, result)

    threading.Thread(target=run, daemon=True).start()
    return await answer


async def entry(settings: KafkaSettings) -> str | None:
    """Return why a Kafka that is there cannot be entered, as far as TLS goes; None if it is not for that."""
    protocol, wants_tls = settings.kafka_security_protocol, settings.kafka_security_protocol.endswith("SSL")
    for server in settings.kafka_bootstrap_servers.split(","):
        if not await somebody_listens(server):
            continue
        without_checks = ssl.create_default_context()
        without_checks.check_hostname, without_checks.verify_mode = False, ssl.CERT_NONE
        speaks_tls = await _refusal(server, without_checks) in {"", "alert"}
        if speaks_tls != wants_tls:
            other = protocol.replace("SSL", "PLAINTEXT") if wants_tls else protocol.replace("PLAINTEXT", "SSL")
            speaks = "speaks TLS" if speaks_tls else "does not speak TLS"
            return f"{server} {speaks}, KAFKA_SECURITY_PROTOCOL is {protocol}: {other} would fit"
        if wants_tls and await _refusal(server, ssl_context(settings) or without_checks) == "certificate":
            return f"the certificate of {server} is not trusted: set KAFKA_SSL_CAFILE to its CA"
    return None


async def _refusal(server: str, context: ssl.SSLContext) -> str:
    """Return why TLS with `server` does not begin: nothing if it does, `certificate`, its own `alert`, or `other`."""
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except ssl.SSLCertVerificationError:
        return "certificate"
    except ssl.SSLError as error:
        return "alert" if "ALERT" in (error.reason or "") else "other"
    except (OSError, TimeoutError, EOFError):
        return "other"
    writer.transport.abort()
    return ""


async def topics(settings: CatalogueSettings) -> list[Finding]:
    """Look whether Kafka answers and whether its topics are as they should be."""
    wanted = plan.wanted(settings)
    try:
        async with administration(settings) as admin:
            found = await kafka.read(admin, [topic.name for topic in wanted])
    except Unreachable as problem:
        why = await entry(settings)
        return [Finding(what="kafka", well=False, says=why or str(problem), unreachable=why is None)]
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


async def ingress(url: str, keys: Sequence[bytes]) -> list[Finding]:
    """Ask the ingress at `url` whether it is ready, and whether it takes what each of these keys signed: a ping."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)) as session:
        found = [await _ready(session, "ingress", f"{url}/ready")]
        if found[0].unreachable:
            return found
        for number, key in enumerate(keys, 1):
            try:
                status, _ = await post(session, url + ROUTE, b'{"ping":"doctor"}', key=key)
            except Unreachable:
                return found
            if status == HTTP_UNAUTHORIZED:
                says = f"the running ingress does not accept key {number} of METRIPORT_WEBHOOK_KEYS as set here: it was"
                found.append(Finding(what="ingress", well=False, says=f"{says} started with others"))
        return found


async def stages(names: Iterable[str], settings: StageSettings) -> list[Finding]:
    """Ask these stages on this machine whether they are ready."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.worker_host, settings.worker_host)  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)) as session:
        return [
            await _stage(
                session, name, [f"http://{host}:{settings.port(name, alone=alone)}" for alone in (False, True)]
            )
            for name in names
            if settings.worker_port
        ]


async def _stage(session: aiohttp.ClientSession, name: str, urls: Sequence[str]) -> Finding:
    """Ask a stage where it answers beside others, or where it answers alone: whoever says that he is the one."""
    for url in urls:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with session.get(f"{url}/ready") as response:
                if (await response.json()).get("stage") == name:
                    return await _ready(session, name, f"{url}/ready")
    return Finding(what=name, well=False, says=f"does not answer at {urls[0]}", unreachable=True)


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
