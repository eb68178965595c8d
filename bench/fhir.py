"""The bundles stage against `Bundle.model_validate`, over the same bundles, in the same run: ratios of CPU time.

`python -m bench.fhir [FOLDER]`: FOLDER holds bundles of one patient each; without it, twelve copies of the tests'
sample are one patient's bundle. With `--large [FOLDER] MB`: one bundle of so many megabytes, and what memory it takes.
CPU time is that of this process and of the pool's together.

Two things are compared with it, for a first bundle, one with changes, and the same again. *Verdict*: what
`Bundle.model_validate` does, and no more, the way the stage does it: the bytes split, each resource known by its hash
or validated. *Stage*: all of it, with identity, content hash, comparison, the records and the manifest.

Two baselines: with Python's collector as it comes, as anybody would run it; and as the stage sets it, which is kinder.
"""

# ruff: noqa: ANN001, ANN201, D102

import asyncio
import gc
import hashlib
import io
import json
import random
import re
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import orjson

from models import topics
from streams.bundles.bundle.file import bundle_file
from streams.bundles.bundle.split import split
from streams.bundles.job import BundlesJob, Options
from streams.bundles.resource.content_hash import raw_hash
from streams.bundles.validation.build import Standards, validators
from streams.bundles.validation.pool import Pool, PoolLimits

CHANGED_ONE_IN = 20
ROUNDS = 7
TRIES = 5
SAMPLE = Path(__file__).parents[1] / "tests" / "fhir" / "samples" / "synthea.json"
SAMPLE_COPIES = 12
# How the bundles of `bundles()` follow each other: the same bytes, another order, changes.
DELIVERIES = {"first": 2, "repeat": 2, "repeat in another order": 3, "changed": 4}


@dataclass
class Folder:
    """Blobs in a folder; also the state of the stage, and the longest time that the event loop stood still."""

    path: Path
    state: dict = field(default_factory=dict)
    longest_s: float = 0.0

    @contextmanager
    def on_disk(self, key, _progress):
        with bundle_file(self.path / key) as opened:
            yield opened

    def moved(self):
        pass

    def get(self, keys):
        return [self.state.get(key) for key in keys]

    async def watch(self):
        while True:
            begun_at = time.monotonic()
            await asyncio.sleep(0.001)
            self.longest_s = max(self.longest_s, time.monotonic() - begun_at - 0.001)


def record(patient, name, number, sha256):
    value = {
        "messageId": f"m-{number}",
        "type": "medical.consolidated-data",
        "when": f"2025-01-01T00:00:{number:02d}Z",
        "patientId": patient,
        "kind": "consolidated",
        "complete": True,
        "sha256": sha256,
        "blob": name,
        "outcome": "stored",
    }
    return SimpleNamespace(
        value=orjson.dumps(value), offset=number, topic="t", partition=0, key=b"", headers=(), timestamp=0
    )


async def run(job, folder, patient, raw, *, number, pids):
    """Process one bundle as the engine would, without Kafka; return the CPU seconds it took."""
    (folder.path / "bundle").write_bytes(raw)
    found = record(patient, "bundle", number, hashlib.sha256(raw).hexdigest())
    begun = cpu_s(pids)
    async for step in job.process(found, folder):
        folder.state.update(step.changes)
    return cpu_s(pids) - begun


def bundles(folder):
    """Yield patient, resources, and the bundle first, in another order, changed: compact, as Metriport writes them."""
    rnd = random.Random(1)
    for path in sorted(Path(folder).glob("*.json")) if folder else [SAMPLE]:
        resources = as_metriport([entry["resource"] for entry in orjson.loads(path.read_bytes())["entry"]])
        if not folder:
            resources = [one for copy in range(SAMPLE_COPIES) for one in renamed(resources, copy)]
        patient = next(each["id"] for each in resources if each["resourceType"] == "Patient")
        changed = [
            {**each, "language": "en"} if number % CHANGED_ONE_IN == 3 else each
            for number, each in enumerate(resources)
        ]
        shuffled = rnd.sample(resources, len(resources))
        yield patient, len(resources), compact(resources), compact(shuffled), compact(changed)


def as_metriport(resources):
    """Return the resources with references as Metriport writes them: `Type/id`."""
    types = {each.get("id"): each["resourceType"] for each in resources}
    text = orjson.dumps(resources).decode()
    return orjson.loads(
        re.sub(
            r'"urn:uuid:([0-9a-f-]+)"',
            lambda found: f'"{types[found[1]]}/{found[1]}"' if found[1] in types else found[0],
            text,
        )
    )


def renamed(resources, copy):
    """Yield the resources once more, under other ids; the patient only once."""
    for each in resources:
        if each["resourceType"] != "Patient":
            yield {**each, "id": f"{each['id'][:50]}-{copy}"}
        elif not copy:
            yield each


def compact(resources):
    entries = [{"fullUrl": f"urn:uuid:{each.get('id')}", "resource": each} for each in resources]
    return orjson.dumps({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries})


def cpu_s(pids):
    """CPU seconds of this process and of others."""
    return time.process_time() + sum(nanoseconds(pid) for pid in pids) / 1e9


def nanoseconds(pid):
    """CPU time of a process by the scheduler's count: finer than clock ticks."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def rollup(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return dict(line.split(":") for line in lines)


def whole(found):
    """Do what one would write: parse, and have the library validate the bundle."""
    from fhir.resources.R4B.bundle import Bundle  # noqa: PLC0415 - after the pool's processes were forked

    for _, _, first, _, _ in found:
        Bundle.model_validate(orjson.loads(first))


def verdicts(found, which, validator, known):
    """Split, and validate each resource whose bytes are not known yet: nothing else."""
    for bundle in found:
        for block in split(io.BytesIO(bundle[which]).read):
            for raw in block.resources:
                digest = raw_hash(raw)
                if digest not in known:
                    validator.validate(raw)
                    known.add(digest)


async def compare(folder):
    found = list(bundles(folder))
    validator = validators().validator(Standards())
    times = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch, Pool(Standards(), PoolLimits()) as pool:
        whole(found)
        for _ in range(ROUNDS):
            baselines(found, times)
            # The library takes so much longer that it is warm for most of its time; the others need several tries.
            for _ in range(TRIES):
                known = set()
                for name, which in DELIVERIES.items():
                    begun = cpu_s([])
                    verdicts(found, which, validator, known)
                    times[f"verdict, {name}"].append(cpu_s([]) - begun)
            for _ in range(TRIES):
                await one_round(pool, Folder(Path(scratch)), found, times)
        # The watch costs time itself: not while that is measured.
        watched = Folder(Path(scratch))
        watching = asyncio.create_task(watched.watch())
        await one_round(pool, watched, found, defaultdict(list))
        watching.cancel()
        memory = [rollup(pid) for pid in pool.pids]
        wrong = pool.mismatches
    report(times, sum(count for _, count, *_ in found))
    print(f"event loop: at most {watched.longest_s * 1000:.0f} ms; compiled check wrong: {wrong}")
    for fields in memory:
        print("pool process: resident", fields["Rss"].strip(), "of which its own", fields["Private_Dirty"].strip())


def baselines(found, times):
    """Time the library under either setting of the collector; leave the stage's."""
    for name, collect in {
        "library": collect_as_python,
        "library, collector as in the stage": collect_as_a_worker,
    }.items():
        collect()
        begun = cpu_s([])
        whole(found)
        times[name].append(cpu_s([]) - begun)


def report(times, resources):
    plain, tuned = (statistics.median(seconds) for seconds in list(times.values())[:2])
    print(f"{'':40} resources/s of CPU   x library   x library as in the stage")
    for name, seconds in times.items():
        taken = statistics.median(seconds)
        print(f"{name:40} {resources / taken:18,.0f}   {plain / taken:9.1f}   {tuned / taken:9.1f}")


def collect_as_python():
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)


def collect_as_a_worker():
    """Set the cycle collector as the engine does; what the benchmark holds is nothing that a stage would hold."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def one_round(pool, blobs, found, times):
    job = BundlesJob(blobs, pool, Options("", topics.FHIR_STATE_TYPES, 2**23, "v"))
    for number, (name, which) in enumerate(DELIVERIES.items()):
        taken = [await run(job, blobs, bundle[0], bundle[which], number=number, pids=pool.pids) for bundle in found]
        times[f"stage, {name}"].append(sum(taken))


async def large(folder, megabytes):
    """One bundle, made of all others again and again under new ids."""
    resources = [orjson.loads(first)["entry"] for _, _, first, _, _ in bundles(folder)]
    with tempfile.TemporaryDirectory() as scratch:
        blobs = Folder(Path(scratch))
        size = write_large(blobs.path / "bundle", [entry for each in resources for entry in each], megabytes * 2**20)
        del resources
        collect_as_a_worker()
        with Pool(Standards(), PoolLimits()) as pool:
            watching = asyncio.create_task(blobs.watch())
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            begun_at, outputs = time.monotonic(), 0
            job = BundlesJob(blobs, pool, Options("", topics.FHIR_STATE_TYPES, 2**23, "v"))
            async for step in job.process(record("p", "bundle", 0, "x"), blobs):
                outputs += len(step.outputs)
            watching.cancel()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "bundle_mb": round(size / 2**20),
                "outputs": outputs,
                "seconds": round(time.monotonic() - begun_at, 1),
                "peak_before_mb": before // 1024,
                "peak_after_mb": after // 1024,
                "event_loop_ms_max": round(blobs.longest_s * 1000),
            }
        )
    )


def write_large(path, entries, size_min):
    with path.open("wb") as file:
        file.write(b'{"resourceType":"Bundle","entry":[')
        copy = 0
        while file.tell() < size_min:
            for entry in entries:
                found = {**entry["resource"], "id": f"{entry['resource'].get('id', '')[:50]}-{copy}"}
                found.pop("identifier", None)
                if found["resourceType"] != "Patient":
                    file.write(orjson.dumps({"fullUrl": "urn:uuid:x", "resource": found}) + b",")
            copy += 1
        file.write(b'{"resource":{"resourceType":"Patient","id":"p"}}]}')
        return file.tell()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--large"]:
        *given, size_mb = sys.argv[2:]
        asyncio.run(large(given[0] if given else None, int(size_mb)))
    else:
        asyncio.run(compare(sys.argv[1] if len(sys.argv) > 1 else None))
