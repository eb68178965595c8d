"""Real resources, spoiled at random: what a verdict must survive.

`python -m tests.fhir.mutants COUNT SEED [FOLDER...]` compares the compiled check with the library over COUNT mutants.
"""

import copy
import json
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

import orjson

SAMPLES = Path(__file__).with_name("samples")

NASTY = [
    *(None, "", " ", "\n", "a\tb", "x" * 300, 0, -1, 1, 1.5, 1e300, 2**31, 2**63, True, False, "true", "1", "1.5"),
    *([], {}, [None], [[]], [{}], {"a": 1}, "2020", "2020-02", "2020-02-30", "2020-02-29", "2021-02-29", "2020-13"),
    *("2020-01-01T00:00:00", "2020-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "0000-01-01", "20200101", "24:00:00"),
    *(
        "2020-01-31T23:59:59.1234567Z",
        "2020-04-31",
        "1000-01-01",
        "9999-12-31T23:59:59+14:00",
        "\uff12\uff10\uff12\uff10-01-01",
    ),
    *("12:00:00", "12:00", "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", "http://a b", "http://x/y", "Patient/1"),
    *(
        "2020-01-01\n",
        "2020-01-01T00:00:00Z\n",
        "a\n",
        "\na",
        "a\fb",
        "a\xa0b",
        "\u2028",
        "a\u3000",
        "\x1ca",
        "\xe9",
        "\\u",
    ),
    *("#c1", "QQ==", "Q", "\u0000", "\ud7ff", "a b", " a", "a  b", "1e5", "-0", 10**18),
    *({"extension": [{"url": "u", "valueCode": "x"}]}, {"id": "i"}, {"fhir_comments": "c"}, {"reference": "Patient/1"}),
    *({"resourceType": "Patient"}, {"resourceType": "Nope"}, {"resourceType": "Coding"}, {"resourceType": ["Patient"]}),
    {"coding": [{"code": "x"}]},
]
NAMES = (
    *("resourceType", "resource_type", "fhir_comments", "bogus", "id", "extension", "value", "_value", "valueString"),
    *("valueCode", "status", "_status", "status__ext", "code", "text", "reference", "url", "system", "class_fhir"),
    *("contained", "modifierExtension", "_id", "meta", "implicitRules"),
)


def corpus(*folders):
    """Return resources by type, from our samples or from folders of JSON files."""
    found = defaultdict(list)
    for resource in _samples() if not folders else _in_folders(folders):
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            found[resource["resourceType"]].append(resource)
    return {name: found[name][:60] for name in sorted(found)}


def mutants(resources, rnd, count):
    """Yield `count` mutants, types evenly."""
    names = list(resources)
    for _ in range(count):
        yield mutant(rnd.choice(resources[rnd.choice(names)]), rnd)


def mutant(resource, rnd):
    spoiled = copy.deepcopy(resource)
    for _ in range(rnd.choice((1, 1, 1, 2, 3))):
        node = rnd.choice(list(nodes(spoiled)))
        if isinstance(node, list):
            spoil_list(node, rnd)
        else:
            spoil_object(node, rnd)
    return spoiled


def nodes(node):
    if isinstance(node, dict | list):
        yield node
        for value in node.values() if isinstance(node, dict) else node:
            yield from nodes(value)


def spoil_list(node, rnd):
    if not node:
        node.append(nasty(rnd))
        return
    at, kind = rnd.randrange(len(node)), rnd.random()
    if kind < 0.3:
        node[at] = nasty(rnd)
    elif kind < 0.5:
        del node[at]
    elif kind < 0.7:
        node.insert(at, None)
    else:
        node.append(copy.deepcopy(node[at]))


def spoil_object(node, rnd):
    kind = rnd.random()
    if not node or kind < 0.12:
        node[rnd.choice(NAMES)] = nasty(rnd)
        return
    key = rnd.choice(list(node))
    if kind < 0.3:
        del node[key]
    elif kind < 0.65:
        node[key] = nasty(rnd)
    elif kind < 0.72:
        node[key] = [node[key]]
    elif kind < 0.79 and isinstance(node[key], list) and node[key]:
        node[key] = node[key][0]
    elif kind < 0.85:
        node["_" + key] = nasty(rnd)
    elif kind < 0.9:
        node[key] = str(node[key])
    elif kind < 0.95:
        stem = key.rstrip("0123456789")
        node[stem + rnd.choice(("String", "Boolean", "Quantity", "DateTime", "Period"))] = node[key]
    else:
        node[rnd.choice((key + "x", key.lower(), key + "__ext"))] = node.pop(key)


def nasty(rnd):
    return copy.deepcopy(rnd.choice(NASTY))


def compare(validators, count, seed, *folders):
    """Return how the compiled check and the library agree, and the mutants that only the first one accepts."""
    found, wrong = Counter(), []
    for resource in mutants(corpus(*folders), random.Random(seed), count):
        raw = orjson.dumps(resource)
        resource_type = resource.get("resourceType")
        if not isinstance(resource_type, str) or resource_type not in validators.library.classes:
            found["unroutable"] += 1
            continue
        fast, library = accepts(validators.fast, resource, raw), validators.library.failure(resource) is None
        found[f"compiled {'yes' if fast else 'no'}, library {'yes' if library else 'no'}"] += 1
        if fast and not library:
            wrong.append(resource)
    return found, wrong


def accepts(fast, resource, raw):
    try:
        fast(resource, raw)
    except Exception:  # noqa: BLE001 - a no, in whatever way
        return False
    return True


def _samples():
    yield from (entry["resource"] for entry in json.loads((SAMPLES / "synthea.json").read_bytes())["entry"])
    yield from (json.loads(line) for line in (SAMPLES / "hl7.ndjson").read_text("utf-8").splitlines())


def _in_folders(folders):
    for path in (path for folder in folders for path in sorted(Path(folder).rglob("*.json"))):
        found = orjson.loads(path.read_bytes())
        resources = [entry["resource"] for entry in found["entry"]] if path.stat().st_size > 400_000 else [found]
        yield from (resource for resource in resources if len(orjson.dumps(resource)) < 20_000)


def main():
    from streams.bundles.validation.build import validators  # noqa: PLC0415 - takes seconds

    count, seed, *folders = sys.argv[1:]
    found, wrong = compare(validators(), int(count), int(seed), *folders)
    print(dict(found), "only the compiled check accepts:", len(wrong))  # noqa: T201
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
