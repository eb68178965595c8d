"""What docs/topics.md says of the records is what the running service writes."""

import asyncio
import json
import os
import re
import sys
import uuid
from pathlib import Path

import pytest

from models import headers, samples, topics
from tests.journeys.conftest import linked

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = Path(__file__).parents[2] / "docs" / "topics.md"
WHOLE = "medical.consolidated-data.whole"
CONDITIONS = "fhir.state.Condition"
LAST = ("fhir.rejected", "bulk-jobs", CONDITIONS)
PUBLIC = [topic.name for topic in topics.catalogue() if not topic.internal]


async def test_every_record_carries_the_headers_that_are_told_and_no_others(service):
    patient_id = str(uuid.uuid4())
    for name in sorted(samples.names(), key=lambda name: name == WHOLE):
        await service.deliver(samples.encode(linked(service, name, patient_id)))

    found = await service.read(*PUBLIC, until=lambda found: all(found[name] for name in LAST))

    assert {name for records in found.values() for record in records for name in odd(record, service.prefix)} == set()


def odd(record, prefix):
    """Yield what a record lacks or has beyond what is told of its topic."""
    topic = record.topic.removeprefix(prefix)
    family = next(each.family for each in topics.catalogue() if each.name == topic)
    names = {name for name, _ in record.headers}
    always = {name for name, found in headers.TABLE.items() if family in found.always}
    yield from (f"{topic} lacks {name}" for name in always - names)
    if family != "quarantined":  # has those of the record itself, too
        yield from (f"{topic} has {name}" for name in names - set(headers.of(family)))


async def test_the_reader_in_the_documentation_shows_a_patients_conditions(service, tmp_path):
    patient_id = str(uuid.uuid4())
    await service.deliver(samples.encode(linked(service, WHOLE, patient_id)))
    mine = f"{patient_id}/".encode()
    await service.read(CONDITIONS, until=lambda found: any(each.key.startswith(mine) for each in found[CONDITIONS]))
    program = tmp_path / "conditions.py"
    program.write_text(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1])

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        "--once",
        env={**os.environ, **service.environment},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()

    shown = [each for each in map(json.loads, output.splitlines()) if each["patient"] == patient_id]
    assert [each["condition"] for each in shown] == ["Diabetes mellitus type 2"]
