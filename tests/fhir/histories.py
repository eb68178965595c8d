"""Random histories of one patient after another, and what must hold of the topics whatever came.

`python -m tests.fhir.histories [SNAPSHOTS [SEED]]`: filtered, network queries', encounters' and notifications' bundles,
stale ones, rejected, superseded and converted again, in another order, with much missing, decided about, and with
workers killed in between. Exit code 1 if something does not hold.
"""

import json
import random
import sys
import tempfile
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from models import telemetry
from streams.bundles.snapshot.diff import Grace
from tests.unit.bundles.stage import DAY_MS, PATIENT, LocalValidator, Stage, derived_from, observation, patient

SNAPSHOTS_PER_PATIENT = 40
RESOLVED_MIN = 0.999
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


class World:
    """What is true of a patient, and how Metriport tells it: under other ids after each conversion."""

    def __init__(self, rnd):
        self._rnd = rnd
        self.values = dict.fromkeys(range(rnd.randrange(5, 40)), 1)
        self.conversion = 0
        self.day = 0.0

    def bundle(self):
        """Return the resources of one kind of bundle, and what its record says."""
        rnd = self._rnd
        self.day += rnd.choice([0, 0.1, 1, 3, 8])
        for number in list(self.values):
            if rnd.random() < 0.05:
                self.values[number] += 1
        if rnd.random() < 0.3:
            self.values[max(self.values) + 1] = 1
        if rnd.random() < 0.1:
            self.conversion += 1
        told = [number for number in self.values if rnd.random() < rnd.choice([1, 1, 1, 0.97, 0.7, 0.1])]
        day = self.day - rnd.choice([0, 0, 0, 0, 1, 10])
        facts = {"when": (BEGIN + timedelta(days=day)).isoformat(), "complete": rnd.random() < 0.6}
        kind = rnd.choice(["consolidated"] * 7 + ["encounter", "notification"])
        if kind != "consolidated":
            facts |= {"kind": kind, "complete": kind == "encounter"}
            told = told[: rnd.randrange(1, 8)]
        found = [resource for number in told for resource in self._told(number)]
        if kind == "encounter":
            found.append(self._encounter(rnd.randrange(3)))
        found += [patient()] if rnd.random() < 0.95 else []
        if rnd.random() < 0.3:
            rnd.shuffle(found)
        return found, facts

    def _told(self, number):
        rnd = self._rnd
        own = f"o-{number}" if not self.conversion else f"o-{number}-{self.conversion}"
        practitioner = {"resourceType": "Practitioner", "id": f"p{number % 3}-{rnd.randrange(3)}"}
        practitioner["name"] = [{"family": f"Name {number % 3}"}]
        found = observation(number, self.values[number], id=own)
        found["performer"] = [{"reference": f"Practitioner/{practitioner['id']}"}]
        if number % 4 == 1:
            found["hasMember"] = [{"reference": f"Observation/{own.replace(f'o-{number}', f'o-{number - 1}', 1)}"}]
        if rnd.random() < 0.05:
            other = rnd.choice(list(self.values))
            found["extension"] = derived_from("Observation", f"o-{other}")
        if rnd.random() < 0.03:
            del found["status"]
        if rnd.random() < 0.02:
            found["subject"] = {"reference": "Patient/another"}
        return [found, practitioner]

    @staticmethod
    def _encounter(number):
        subject = {"reference": f"Patient/{PATIENT}"}
        about = {"status": "finished", "class": {"code": "AMB"}, "subject": subject}
        return {"resourceType": "Encounter", "id": f"e-{number}", **about}


class References:
    """How many references that resolve inside their bundle lead to the state, too."""

    def __init__(self):
        self.all = self.resolved = 0

    def count(self, stage, resources, refused):
        state = set(stage.folded_state())
        aliases = {key: json.loads(raw)["identity"] for key, raw in stage.folded("metriport.fhir.aliases").items()}
        there = {f"{each['resourceType']}/{each['id']}" for each in resources} - refused
        for each in resources:
            if f"{each['resourceType']}/{each['id']}" not in there:
                continue
            for reference in _references(each):
                if reference in there:
                    kind, _, known = reference.partition("/")
                    key = f"{PATIENT}/{reference}"
                    identity = aliases.get(key, known)
                    self.all += 1
                    # As a reader does: the state record of that name, else the one that the alias leads to.
                    self.resolved += key in state or f"{PATIENT}/{kind}/{identity}" in state


def _references(resource):
    for name in ("performer", "hasMember"):
        yield from (one["reference"] for one in resource.get(name, ()))


def play(rnd, folder, snapshots, references, counts):
    """Play one patient's history; raise AssertionError where something does not hold."""
    world, stage = World(rnd), Stage(LocalValidator(), folder, Grace(2, 3 * DAY_MS))
    spared = Stage(stage.validator, folder, Grace(2, 3 * DAY_MS)) if rnd.random() < 0.2 else None
    for _ in range(snapshots):
        resources, facts = world.bundle()
        killed_after = rnd.randrange(12) if spared is not None and rnd.random() < 0.3 else None
        outputs = stage.deliver(resources, killed_after=killed_after, **facts)
        told = outputs.snapshot
        counts.update(name for name, count in told["counts"].items() if count)
        counts.update({"stale": told["stale"], "killed": killed_after is not None})
        waiting = stage.folded("metriport.fhir.held").get(PATIENT)
        decision = rnd.choice(["apply", "discard"]) if waiting and rnd.random() < 0.3 else None
        if decision:
            hold = json.loads(waiting)["holds"][0]["snapshotId"]
            stage.decide(hold, decision)
            counts[decision] += 1
        if spared is not None:
            spared.deliver(resources, **facts)
            if decision:
                spared.decide(hold, decision)
        if told["complete"] and not told["stale"] and not decision:
            refused = {
                f"{headers['x-resource-type'].decode()}/{headers['x-resource-id'].decode()}"
                for headers in (dict(row.headers) for row in stage.topics.get("metriport.fhir.rejected", []))
            }
            references.count(stage, resources, refused)
    check(stage)
    if spared is not None:
        assert spared.topics == stage.topics, "kills change nothing"


def check(stage):
    """Raise AssertionError unless the topics agree with each other."""
    assert stage.folded_changes() == stage.folded_state(), "the changes folded are the state"
    changes = [dict(row.headers) for row in stage.topics.get("metriport.fhir.changes", [])]
    changes = [headers for headers in changes if not headers["x-change"].startswith((b"snapshot", b"removal"))]
    assert [int(headers["x-sequence"]) for headers in changes] == list(range(1, len(changes) + 1)), "no gap"
    versions = defaultdict(int)
    for headers in changes:
        key = headers["x-resource-type"], headers["x-identity"]
        version = int(headers["x-version"])
        ends = headers["x-change"] in {b"removed", b"superseded"}
        assert version == versions[key] + (not ends), "versions grow by one"
        versions[key] = version
    states = [row for topic, rows in stage.topics.items() if ".fhir.state." in topic for row in rows]
    numbers = sorted(int(dict(row.headers)["x-sequence"]) for row in states)
    assert numbers == list(range(1, len(changes) + 1)), "the state has the numbers of the changes"
    shown = Counter(key.split("/")[1] for key in stage.folded_state())
    newest = json.loads(stage.topics["metriport.fhir.snapshots"][-1].value)
    assert newest["state"] == dict(shown), "the snapshot counts the state"


def run(snapshots, seed):
    """Play so many snapshots; return what they had, and the references."""
    counts, references, played = Counter(), References(), 0
    while played < snapshots:
        some = min(SNAPSHOTS_PER_PATIENT, snapshots - played)
        with tempfile.TemporaryDirectory() as folder:
            try:
                play(random.Random(f"{seed}/{played}"), Path(folder), some, references, counts)
            except AssertionError as problem:
                raise AssertionError(f"history {seed}/{played}: {problem}") from problem
        played += some
    return counts, references


if __name__ == "__main__":
    telemetry.configure(level="critical")
    wanted, begin = ([int(each) for each in sys.argv[1:]] + [20_000, 1][len(sys.argv) - 1 :])[:2]
    had, led = run(wanted, begin)
    sys.stdout.write(json.dumps({**had, "references": led.all, "resolved": led.resolved / max(1, led.all)}) + "\n")
    sys.exit(0 if led.resolved >= RESOLVED_MIN * led.all else 1)
