"""What `drift list` makes of the records of the partitions."""

import pytest

from cli.drift import added_up
from models import known, messages
from models.states import Drift

ADMIT = "patient.admit"


def told(partition, path="payload.newField", *, kind="unknown_field", counts=None, **facts):
    counts = counts or {"unknown_field": 10}
    value = {
        "type": ADMIT,
        "path": path,
        "partition": partition,
        "kind": kind,
        "count": sum(counts.values()),
        "counts": counts,
        "firstSeen": f"2026-02-0{9 - partition}T10:00:00.000Z",
        "lastSeen": f"2026-03-0{partition}T10:00:00.000Z",
        "messageId": f"m-{partition}",
    }
    return Drift.model_validate(value | facts)


def test_partitions_are_added_up():
    [row] = added_up([told(1), told(3, counts={"unknown_field": 100}), told(2)], set())

    assert (row.count, row.partitions) == (120, 3)
    assert (row.first_seen, row.message_id, row.last_seen) == (
        "2026-02-06T10:00:00.000Z",
        "m-3",
        "2026-03-03T10:00:00.000Z",
    )


def test_kinds_are_rows_of_their_own_and_accepted_by_themselves():
    counts = {"missing_field": 1, "other_json_type": 10}

    rows = added_up([told(1, "payload.url", counts=counts)], {(ADMIT, "payload.url", "missing_field")})

    assert [(row.kind, row.count, row.accepted) for row in rows] == [
        ("other_json_type", 10, False),
        ("missing_field", 1, True),
    ]


def test_what_a_later_release_knows_differs_no_more():
    rows = added_up(
        [told(1, "payload.whenSourceSent"), told(1, "meta.type", counts={"unknown_type": 1}), told(1)], set()
    )

    assert [row.path for row in rows] == ["payload.newField"]


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("medical.document-download", "patients[].documents[].type.coding[].code", True),
        ("medical.document-download", "patients[].additionalIds.*[]", True),
        ("medical.document-download", "meta.data.*", True),
        ("medical.document-download", "patients[].documents[].url", False),
        ("medical.document-download", "payload.url", False),
        (ADMIT, "payload.url", True),
        (ADMIT, "payload.url.more", False),
        (ADMIT, "footer", False),
        ("no.such.type", "payload.url", False),
    ],
)
def test_a_path_is_known_or_not(name, path, expected):
    assert known.knows_now(name, path, "unknown_field") is expected


@pytest.mark.parametrize("kind", messages.TYPES)
def test_every_known_type_can_be_compiled(kind):
    assert known.message(messages.TYPES[kind]).entry.fields
