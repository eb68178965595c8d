"""Counts what matters about identity: facts that became one, events about nothing, edits nobody heard of.

`python -m tests.fhir.identity_campaign FOLDER... [--half 1|2] [--verbose]`: FOLDER holds Synthea bundles, or files with
one resource each, of which records are made. `--half` takes every second record: build with one half, prove with the
other.

*Phantom*: an event about a resource whose content, and that of its targets, did not change; what Metriport itself keeps
twice is not counted. *False merge*: an identity that held one fact and now holds another. *Found*: an edited resource
has an event with its new bytes.
"""

# ruff: noqa: T201

import json
import logging
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from streams.bundles.snapshot import manifest_format
from tests.fhir import edits, pipeline
from tests.fhir.pairs import DIFFERENT, SAME, is_taken_for_the_same
from tests.unit.bundles.stage import PATIENT, LocalValidator, Stage

RECORD_RESOURCES = 60
EDITED_ONE_IN = 25


@dataclass
class Tally:
    """What one kind of delivery came to."""

    resources: int = 0
    events: int = 0
    phantoms: int = 0
    false_merges: int = 0
    edits: int = 0
    found: int = 0
    by_type: Counter = field(default_factory=Counter)

    def __str__(self):
        share = 100 * self.phantoms / max(1, self.resources)
        text = f"{self.resources:7} resources {self.events:6} events {self.phantoms:6} phantom ({share:5.2f} %)"
        text += f" {self.false_merges:4} false merges"
        return text + (f" {self.found:5} of {self.edits} edits found" if self.edits else "")


class Snapshot:
    """A bundle, and what is true about it."""

    def __init__(self, resources, truth):
        self.resources = resources
        self.truth = truth
        self.says = pipeline.signatures(resources)
        self.copies = pipeline.counted(truth)

    def is_copied(self, known):
        return any(self.copies[each] > 1 for each in known)

    def having(self, known):
        return [own for own, group in self.truth.items() if group & known]

    def part(self, wanted):
        kept = [each for each in self.resources if wanted(each)]
        ids = {each["id"] for each in kept}
        return Snapshot(kept, {own: group for own, group in self.truth.items() if own in ids})


class World:
    """One patient's record and what can be made of it."""

    def __init__(self, resources, seed, validator):
        self.rnd = random.Random(seed)
        self.record = pipeline.record(resources)
        self.documents = pipeline.documents(self.record, self.rnd)
        self.conversions = self.converted()
        self.validator = validator

    def converted(self):
        return [pipeline.convert(document, self.record, self.rnd) for document in self.documents]

    def snapshot(self, conversions, order=(0, 1, 2, 3), **facts):
        resources, truth = pipeline.consolidate([conversions[number] for number in order], **facts)
        return Snapshot(resources, truth)

    def first(self, **facts):
        return self.snapshot(self.conversions, **facts)


def scenarios(world):
    """Yield a name, the snapshots to deliver before and after, whether these are filtered, and what was edited."""
    conversions, again = world.conversions, world.converted()
    copy = pipeline.convert(world.documents[1], world.record, world.rnd)
    first = world.first()
    yield "another order", first, world.snapshot(conversions, (2, 0, 3, 1)), {}, {}
    yield "reversed order", first, world.snapshot(conversions, (3, 2, 1, 0)), {}, {}
    yield "re-converted", first, world.snapshot(again), {}, {}
    yield "re-converted, another order", first, world.snapshot(again, (3, 1, 0, 2)), {}, {}
    yield "one more copy, last", first, world.snapshot([*conversions, copy], (0, 1, 2, 3, 4)), {}, {}
    yield "one more copy, first", first, world.snapshot([*conversions, copy], (4, 0, 1, 2, 3)), {}, {}
    bare = world.first(lists_derived=False)
    other = world.snapshot(conversions, (2, 0, 3, 1), lists_derived=False)
    yield "no derived-from, another order", bare, other, {}, {}
    other = world.snapshot(again, (2, 3, 1, 0), lists_derived=False)
    yield "no derived-from, re-converted, another order", bare, other, {}, {}
    dates = sorted(filter(None, (pipeline.moment(each) for each in first.resources)))
    middle = dates[len(dates) // 2] if dates else ""
    early = first.part(lambda each: (pipeline.moment(each) or "") < middle)
    yield (
        "filtered by date, first half then second",
        early,
        first.part(lambda each: not len(pipeline.moment(each)) > 0 or pipeline.moment(each) >= middle),
        {"complete": False},
        {},
    )
    half = world.snapshot(again).part(lambda each: not pipeline.moment(each) or pipeline.moment(each) >= middle)
    yield "filtered by date, second half re-converted", early, half, {"complete": False}, {}
    edited = edits.edited(first.resources, first.truth, world.rnd, EDITED_ONE_IN)
    yield "edits alone", first, Snapshot(edited.resources, first.truth), {}, edited.made
    mixed = world.snapshot(again, (1, 3, 2, 0))
    edited = edits.edited(mixed.resources, mixed.truth, world.rnd, EDITED_ONE_IN)
    yield "edits and re-conversion", first, Snapshot(edited.resources, mixed.truth), {}, edited.made


def play(before, after, facts, made, validator):
    """Deliver both snapshots and count."""
    tally = Tally(resources=len(after.resources), edits=len(made))
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(validator, Path(folder))
        stage.deliver(before.resources, **facts)
        was = present_ids(stage)
        outputs = stage.deliver(after.resources, **facts)
        now = present_ids(stage)
    if outputs.snapshot["reason"]:
        raise ValueError(f"a bundle was refused: {outputs.snapshot['reason']}")
    changes = [dict(row.headers) for row in outputs.of("fhir.changes")]
    changes = [headers for headers in changes if not headers["x-change"].startswith(b"snapshot")]
    tally.events = len(changes)
    for headers in changes:
        change, own = headers["x-change"].decode(), headers["x-resource-id"].decode()
        tally.found += change in {"created", "updated"} and own in made
        if is_phantom(change, own, before, after, made):
            tally.phantoms += 1
            tally.by_type[change, headers["x-resource-type"].decode()] += 1
    for identity in was.keys() & now.keys():
        if is_false_merge(was[identity], now[identity], before, after):
            tally.false_merges += 1
            tally.by_type["false merge", identity[0]] += 1
    return tally


def present_ids(stage):
    known = manifest_format.read(PATIENT, lambda keys: [stage.state.get(key) for key in keys])
    return {(entry.type, entry.identity): entry.ids[0] for entry in known if entry.ids}


def is_phantom(change, own, before, after, made):
    if change in {"created", "updated"}:
        known = after.truth.get(own)
        if known is None or own in made or before.is_copied(known) or after.is_copied(known):
            return False
        return any(before.says[old] == after.says[own] for old in before.having(known))
    known = before.truth.get(own)
    if known is None or before.is_copied(known) or after.is_copied(known):
        return False
    return any(before.says[own] == after.says[new] for new in after.having(known))


def is_false_merge(old, new, before, after):
    if old == new or old not in before.truth or new not in after.truth:
        return False
    return not before.truth[old] & after.truth[new] and before.says[old] != after.says[new]


def records(folders):
    """Yield resources of one patient each."""
    singles = []
    for path in (path for folder in folders for path in sorted(Path(folder).glob("*.json"))):
        found = json.loads(path.read_bytes())
        if found.get("resourceType") == "Bundle" and path.stat().st_size > 50_000:
            yield [entry["resource"] for entry in found["entry"]]
        elif found.get("resourceType") in pipeline.KEPT:
            singles.append(of_one_patient(found))
    for begin in range(0, len(singles), RECORD_RESOURCES):
        yield singles[begin : begin + RECORD_RESOURCES]


def of_one_patient(resource):
    for name in ("subject", "patient", "beneficiary"):
        if isinstance(resource.get(name), dict):
            resource[name] = {"reference": f"Patient/{PATIENT}"}
    return resource


def campaign(found, seed=1):
    """Return a tally by scenario over records, and the hand-made pairs taken wrongly."""
    validator = LocalValidator()
    tallies = {}
    for number, resources in enumerate(found):
        for name, before, after, facts, made in scenarios(World(resources, seed + number, validator)):
            tally, added = tallies.setdefault(name, Tally()), play(before, after, facts, made, validator)
            for one in ("resources", "events", "phantoms", "false_merges", "edits", "found"):
                setattr(tally, one, getattr(tally, one) + getattr(added, one))
            tally.by_type += added.by_type
    return tallies


def wrong_pairs():
    """Return the names of the hand-made pairs that are taken for the same and are not, or the other way round."""
    validator = LocalValidator()
    merged = [pair.name for pair in DIFFERENT if is_taken_for_the_same(pair, validator)]
    parted = [pair.name for pair in SAME if not is_taken_for_the_same(pair, validator)]
    return merged, parted


def main():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folders = [each for each in sys.argv[1:] if not each.startswith("--") and each not in "12"]
    found = list(records(folders))
    if "--half" in sys.argv:
        found = found[int(sys.argv[sys.argv.index("--half") + 1]) - 1 :: 2]
    for name, tally in campaign(found).items():
        print(f"{name:45} {tally}")
        if "--verbose" in sys.argv:
            print("   ", tally.by_type.most_common(12))
    merged, parted = wrong_pairs()
    print(f"{len(DIFFERENT)} pairs that are two: {len(merged)} taken for one", *merged, sep="\n    ")
    print(f"{len(SAME)} pairs that are one: {len(parted)} taken for two", *parted, sep="\n    ")


if __name__ == "__main__":
    main()
