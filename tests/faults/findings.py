"""Comparing what the topics hold with what they must hold; every number but `records` must be zero."""

import json
from collections import Counter, defaultdict

from models import headers, topics
from tests.faults.oracle import Expected

STATES = (topics.PATIENTS, topics.BULK_JOBS)
QUARANTINE = topics.quarantine("deliveries")
READ = (*topics.DELIVERY_TYPES, topics.UNRECOGNISED, QUARANTINE, topics.quarantine("patients"), *STATES)


def compare(expected: Expected, found: dict[str, list]) -> dict[str, int]:
    """Return how many records are lost, repeated, out of order or wrong."""
    ids, wrong_values = _ids(expected, found)
    keys = ids.keys() | expected.ids.keys()
    written = {key: Counter(ids[key]) for key in keys}
    wanted = {key: Counter(expected.ids[key]) for key in keys}
    states = _states(found)
    wanted_states = expected.states()
    return {
        "records": sum(len(records) for records in found.values()),
        "lost": sum((wanted[key] - written[key]).total() for key in keys),
        "repeated": sum((written[key] - wanted[key]).total() for key in keys),
        "patients_out_of_order": sum(
            written[key] == wanted[key] and ids[key] != expected.ids[key] for key in expected.ids
        ),
        "values_wrong": wrong_values,
        "unrecognised_wrong": _differing(Counter(expected.unrecognised), found[topics.UNRECOGNISED]),
        "poison_wrong": _differing(expected.poison, found[QUARANTINE]),
        "poison_of_patients": len(found[topics.quarantine("patients")]),
        "outputs_with_one_source": _sharing(found),
        "states_wrong": sum(states.get(key) != wanted_states.get(key) for key in states.keys() | wanted_states.keys()),
    }


def _ids(expected: Expected, found: dict[str, list]) -> tuple[dict[tuple[str, str], list[str]], int]:
    """Return the message ids of each topic and key, and how many records do not say what the first of theirs said."""
    ids: dict[tuple[str, str], list[str]] = defaultdict(list)
    wrong = 0
    for topic in topics.DELIVERY_TYPES:
        for record in found[topic]:
            value = json.loads(record.value)
            key = record.key.decode()
            ids[topic, key].append(value["messageId"])
            owner = value["requestId" if topic == topics.BULK_PATIENT_CREATE else "patientId"]
            told = value["type"], owner, value["metadata"]
            wrong += told != (topic, key, expected.metadata.get((value["messageId"], key)))
    return ids, wrong


def _differing(wanted: Counter[bytes], records: list) -> int:
    got = Counter(record.value for record in records)
    return ((wanted - got) + (got - wanted)).total()


def _sharing(found: dict[str, list]) -> int:
    """Return how many records say that they come from a record and place from which another one came before."""
    sources = Counter(
        (topic, headers.text(record.headers, headers.SOURCE)) for topic, records in found.items() for record in records
    )
    return sum(count - 1 for count in sources.values())


def _states(found: dict[str, list]) -> dict[tuple[str, str], dict]:
    return {(topic, record.key.decode()): json.loads(record.value) for topic in STATES for record in found[topic]}
