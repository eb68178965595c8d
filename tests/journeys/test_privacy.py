"""What other users of the machine get to see of the running service: nothing."""

import contextlib
from pathlib import Path

import pytest

from models import samples

from .conftest import linked

pytestmark = pytest.mark.asyncio(loop_scope="session")


def processes_of(prefix):
    """Yield the processes that were started with this prefix of topics."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"TOPIC_PREFIX={prefix}\0".encode() in (process / "environ").read_bytes():
                yield process


async def test_files_are_their_owners_and_no_process_dumps_its_memory(service):
    body = samples.encode(linked(service, "medical.consolidated-data", "p-private"))
    assert (await service.deliver(body))[0] == 200
    await service.settled("p-private", "patients")
    await service.read(
        "fhir.snapshots", until=lambda found: any(r.key == b"p-private" for r in found["fhir.snapshots"])
    )

    kept = [service.folder / name for name in ("spool", "state", "blobs")]
    paths = [path for folder in kept for path in (folder, *folder.rglob("*"))]
    limits = [(process / "limits").read_text() for process in processes_of(service.prefix)]

    assert all(any(path.is_relative_to(folder) and path.is_file() for path in paths) for folder in kept)
    assert [str(path) for path in paths if path.exists() and path.stat().st_mode & 0o077] == []
    # The ingress, the worker, its stages, and the processes that check resources.
    assert len(limits) >= 7
    assert {line.split()[4] for text in limits for line in text.splitlines() if line.startswith("Max core")} == {"0"}
