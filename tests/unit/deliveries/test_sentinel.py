"""The sentinel tells of what is new in what Metriport sends, once, where it is, and never what it says."""

import io
import json
import random
import sys

import pytest
import structlog
from prometheus_client import generate_latest

from models import messages, samples, telemetry
from models.schemas import schema
from streams.deliveries.drift import Bounds
from streams.deliveries.job import DeliveriesJob
from streams.deliveries.sentinel import shown
from streams.engine.log.source_header import Sequencer
from streams.engine.work.plan import plan_batch
from tests.unit.deliveries.stage import KNOWN, Stage, made
from tests.unit.engine.fakes import Record

CANARY = "CANARY-7f3a"
GONE = object()


def changed(name, path, value):
    """Return a sample with `value` at a path such as `patients.0.status`, or without what stands there."""
    delivery = samples.load(name)
    *parents, last = path.split(".")
    part = delivery
    for step in parents:
        part = part[int(step) if isinstance(part, list) else step]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    return delivery


DOWNLOAD, PAGED, URLS = "medical.document-download", "medical.document-bulk-download-paged", "bulk-urls"
CONSOLIDATED, ADMIT, TRANSFER = "medical.consolidated-data", "patient.admit", "patient.transfer"
HIE, EARLY, BULK = "network-query.hie", "network-query.hie.first-data-ready", "medical.bulk-patient-create"
URLS = "medical.document-bulk-download-urls"
DOCUMENT, OFFER = "patients.0.documents.0", "patients.0.bundle.entry.0.resource"

# Each: a sample, where it is changed, to what; what is told of it.
MUTATIONS = [
    (ADMIT, "footer", {"a": 1}, "unknown_field", "footer"),
    (ADMIT, "meta.version", "2", "unknown_field", "meta.version"),
    (ADMIT, "payload.newField", CANARY, "unknown_field", "payload.newField"),
    (TRANSFER, "payload.transfers.0.reason", CANARY, "unknown_field", "payload.transfers[].reason"),
    (
        TRANSFER,
        "payload.transfers.0.sourceLocation.bed",
        "4",
        "unknown_field",
        "payload.transfers[].sourceLocation.bed",
    ),
    (DOWNLOAD, "patients.0.type", "document-download", "unknown_field", "patients[].type"),
    (DOWNLOAD, f"{DOCUMENT}.url", "https://x", "unknown_field", "patients[].documents[].url"),
    (DOWNLOAD, "patients.0.documents.1.sha256", "ab", "unknown_field", "patients[].documents[].sha256"),
    (DOWNLOAD, f"{DOCUMENT}.type.id", "1", "unknown_field", "patients[].documents[].type.id"),
    (
        DOWNLOAD,
        f"{DOCUMENT}.type.coding.0.version",
        "1",
        "unknown_field",
        "patients[].documents[].type.coding[].version",
    ),
    (
        PAGED,
        f"{DOCUMENT}.organizationIdentifiers.0.npi",
        "1",
        "unknown_field",
        "patients[].documents[].organizationIdentifiers[].npi",
    ),
    (PAGED, "patients.0.pagination.next", "x", "unknown_field", "patients[].pagination.next"),
    (CONSOLIDATED, "patients.0.filters.onlyNew", True, "unknown_field", "patients[].filters.onlyNew"),
    (CONSOLIDATED, "patients.0.bundle.link", [], "unknown_field", "patients[].bundle.link"),
    (CONSOLIDATED, f"{OFFER}.id", "1", "unknown_field", "patients[].bundle.entry[].resource.id"),
    (
        CONSOLIDATED,
        f"{OFFER}.content.1.attachment.size",
        1,
        "unknown_field",
        "patients[].bundle.entry[].resource.content[].attachment.size",
    ),
    (HIE, "payload.source.documents", 3, "unknown_field", "payload.source.documents"),
    (HIE, "payload.source.firstDataReadyAt", "2026-02-01", "unknown_field", "payload.source.firstDataReadyAt"),
    (BULK, "bulkPatientCreate.rows", 3, "unknown_field", "bulkPatientCreate.rows"),
    (DOWNLOAD, "meta.when", 1_761_825_600, "other_json_type", "meta.when"),
    (DOWNLOAD, "meta.data", [CANARY], "other_json_type", "meta.data"),
    (DOWNLOAD, "meta.data.tenant", {"a": CANARY}, "other_json_type", "meta.data.*"),
    (DOWNLOAD, "patients.0.externalId", 42, "other_json_type", "patients[].externalId"),
    (DOWNLOAD, "patients.0.additionalIds", [CANARY], "other_json_type", "patients[].additionalIds"),
    (DOWNLOAD, "patients.0.additionalIds.athenahealth", CANARY, "other_json_type", "patients[].additionalIds.*"),
    (DOWNLOAD, "patients.0.additionalIds.athenahealth", [7], "other_json_type", "patients[].additionalIds.*[]"),
    (DOWNLOAD, "patients.0.documents", {"a": 1}, "other_json_type", "patients[].documents"),
    (DOWNLOAD, f"{DOCUMENT}.size", True, "other_json_type", "patients[].documents[].size"),
    (DOWNLOAD, f"{DOCUMENT}.description", None, "other_json_type", "patients[].documents[].description"),
    (DOWNLOAD, f"{DOCUMENT}.type.coding", {}, "other_json_type", "patients[].documents[].type.coding"),
    (ADMIT, "payload", [CANARY], "other_json_type", "payload"),
    (DOWNLOAD, "patients", {"0": CANARY}, "other_json_type", "patients"),
    (PAGED, "patients.0.pagination.page", "1", "other_json_type", "patients[].pagination.page"),
    (DOWNLOAD, "patients.0.status", CANARY, "unknown_value", "patients[].status"),
    (CONSOLIDATED, "patients.0.filters.conversionType", CANARY, "unknown_value", "patients[].filters.conversionType"),
    (CONSOLIDATED, "patients.0.bundle.type", CANARY, "unknown_value", "patients[].bundle.type"),
    (
        CONSOLIDATED,
        f"{OFFER}.content.0.attachment.contentType",
        CANARY,
        "unknown_value",
        "patients[].bundle.entry[].resource.content[].attachment.contentType",
    ),
    (HIE, "payload.source.type", CANARY, "unknown_value", "payload.source.type"),
    (EARLY, "payload.source.status", "completed", "unknown_value", "payload.source.status"),
    (BULK, "bulkPatientCreate.status", CANARY, "unknown_value", "bulkPatientCreate.status"),
    (ADMIT, "meta.when", GONE, "missing_field", "meta.when"),
    (ADMIT, "meta.messageId", GONE, "missing_field", "meta.messageId"),
    (ADMIT, "payload", GONE, "missing_field", "payload"),
    (ADMIT, "payload.patientId", GONE, "missing_field", "payload.patientId"),
    (ADMIT, "payload.url", GONE, "missing_field", "payload.url"),
    (URLS, f"{DOCUMENT}.url", GONE, "missing_field", "patients[].documents[].url"),
    (PAGED, "patients.0.pagination.totalPages", GONE, "missing_field", "patients[].pagination.totalPages"),
    (HIE, "payload.source", GONE, "missing_field", "payload.source"),
    (BULK, "bulkPatientCreate.requestId", GONE, "missing_field", "bulkPatientCreate.requestId"),
]


@pytest.mark.parametrize(("name", "path", "value", "kind", "told"), MUTATIONS)
def test_a_change_is_told_at_the_first_delivery_where_it_is_and_nothing_else(name, path, value, kind, told):
    stage = Stage()

    records = stage.deliver(changed(name, path, value))

    assert [(one["kind"], one["path"]) for one in records] == [(kind, told)]
    assert records[0]["type"] == samples.load(name)["meta"]["type"]


@pytest.mark.parametrize(
    ("name", "part", "field"),
    [
        (DOWNLOAD, "meta", "requestId"),
        (DOWNLOAD, "patients.0", "externalId"),
        (DOWNLOAD, DOCUMENT, "description"),
        (TRANSFER, "payload", "transfers"),
        (CONSOLIDATED, "patients.0.bundle", "total"),
    ],
)
def test_a_field_that_may_lack_has_stopped_coming_after_200_deliveries_without_it(name, part, field):
    stage = Stage()
    without = changed(name, f"{part}.{field}", GONE)
    path = f"{part}.{field}".replace(".0", "[]")

    stage.deliver(samples.load(name))
    before = stage.deliver(*_with_ids(without, 199))
    at = stage.deliver(*_with_ids(without, 1, first=199))

    assert before == []
    assert [(one["kind"], one["path"], one["count"]) for one in at] == [("missing_field", path, 1)]


def _with_ids(delivery, count, first=0):
    for number in range(first, first + count):
        yield delivery | {"meta": delivery["meta"] | {"messageId": f"m-{number}"}}


def test_a_field_that_comes_seldom_is_not_missed_at_once():
    stage, deliveries = Stage(), []
    with_it, without = samples.load(ADMIT), changed(ADMIT, "payload.externalId", GONE)
    for number in range(1200):
        deliveries += _with_ids(without if number % 150 else with_it, 1, first=number)

    stage.deliver(*deliveries)

    assert stage.told() == []


def test_a_field_that_never_came_is_not_missed():
    stage = Stage()

    stage.deliver(*_with_ids(changed(ADMIT, "payload.externalId", GONE), 500))

    assert stage.told() == []


@pytest.mark.parametrize("name", KNOWN)
def test_nothing_is_told_of_a_sample(name):
    stage = Stage()

    stage.deliver(samples.load(name))

    assert stage.told() == []


def test_nothing_is_told_of_ten_thousand_deliveries_that_are_as_known():
    stage, rng = Stage(record_bytes_max=2**20), random.Random(13)
    kinds = list(messages.TYPES.values())
    for _ in range(10):
        stage.deliver(*(_unlike(made(rng.choice(kinds), rng), rng) for _ in range(1000)))

    assert stage.told() == []
    assert len(stage.values("quarantine.deliveries")) < 100  # an empty id, now and then


def _unlike(delivery, rng):
    delivery["meta"]["messageId"] = f"{rng.getrandbits(64):x}"
    for part in (*delivery.get("patients", ()), delivery.get("payload", {})):
        part["patientId"] = "p-1"
    return delivery


def test_a_name_given_twice_in_metadata_is_no_difference():
    stage = Stage()

    stage.deliver(samples.encode(samples.load(DOWNLOAD)).replace(b'"tenant":', b'"tenant":"other","tenant":'))

    assert stage.told() == []
    assert len(stage.values(DOWNLOAD)) == 1


@pytest.mark.parametrize("name", ["devices.health-data", "message.received"])
def test_a_type_without_a_model_is_told_of_by_its_name(name):
    stage = Stage()

    stage.deliver(samples.load(name))

    assert stage.told() == [(name, "unknown_type", "meta.type")]


@pytest.mark.parametrize("name", ["patient.01936b20-48f8-7d49-8bc6-50e0c4986011", "Jane Roe", "p.4711", "", "x" * 65])
def test_a_type_that_could_be_anything_is_masked(name):
    stage = Stage()
    delivery = samples.load(ADMIT)
    delivery["meta"]["type"] = name

    stage.deliver(delivery)

    assert {told[0] for told in stage.told()} <= {"*"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, name) for name in ("newField", "icd10Code", "sha256", "_links", "resource_type", "URL")),
        *(
            (name, "*")
            for name in (
                "01936b20-48f8-7d49-8bc6-50e0c4986011",
                "a01936b2048f87d498bc650e0c4986011",
                "MRN-0042",
                "MRN0042",
                "Jane Roe",
                "jane@example.org",
                "d7c4b5a6f",
                "x" * 65,
                "",
                "name\n",
                "日本",
            )
        ),
    ],
)
def test_only_what_looks_like_a_programs_name_is_told(name, expected):
    assert shown(name) == expected


def test_a_difference_is_told_once_and_written_again_at_powers_of_ten():
    stage = Stage()
    delivery = changed(ADMIT, "payload.newField", 1)

    stage.deliver(*_with_ids(delivery, 120))

    assert [one["count"] for one in stage.drift] == [1, 10, 100]
    assert {one["messageId"] for one in stage.drift} == {"m-0"}
    assert {row.key for row in stage.kafka.logs["metriport.drift", 0]} == {b"patient.admit/payload.newField/0"}


def test_a_delivery_that_is_sent_again_counts_once():
    stage = Stage()
    delivery = changed(ADMIT, "payload.newField", 1)

    stage.deliver(delivery, *[delivery] * 20)

    assert [one["count"] for one in stage.drift] == [1]


def test_another_kind_of_difference_in_the_same_place_is_told_as_well():
    stage = Stage()

    stage.deliver(changed(ADMIT, "payload.url", GONE))
    other = changed(ADMIT, "payload.url", 7)
    other["meta"]["messageId"] = "m-2"
    stage.deliver(other)

    assert [(one["kind"], one["count"], one["counts"]) for one in stage.drift] == [
        ("missing_field", 1, {"missing_field": 1}),
        ("other_json_type", 2, {"missing_field": 1, "other_json_type": 1}),
    ]


def test_a_delivery_in_quarantine_is_told_of_and_keeps_its_reason():
    stage = Stage()
    delivery = changed(ADMIT, "payload.patientId", GONE)

    stage.deliver(delivery)

    [row] = stage.kafka.logs["metriport.quarantine.deliveries", 0]
    assert dict(row.headers)["x-quarantine-reason"] == b"no_patient"
    assert row.value == samples.encode(delivery)
    assert stage.told() == [(ADMIT, "missing_field", "payload.patientId")]


def test_each_entry_of_patients_is_looked_at_once():
    stage = Stage()
    delivery = samples.load("medical.document-conversion")
    delivery["footer"] = 1
    delivery["patients"].append(delivery["patients"][0] | {"patientId": "p-2", "new": 1})

    for index in (0, 1):
        stage.deliver(delivery, index=index)

    assert [told[2] for told in stage.told()] == ["footer", "patients[].new"]


@pytest.mark.parametrize("effects", range(6))
def test_a_crash_loses_and_repeats_nothing(effects):
    deliveries = list(_with_ids(changed(ADMIT, "payload.newField", 1), 15))
    stage, whole = Stage(), Stage()

    whole.deliver(*deliveries[:5])
    whole.deliver(*deliveries[5:])
    stage.deliver(*deliveries[:5], effects_left=effects)
    stage.deliver(*deliveries[5:], effects_left=effects)

    assert stage.drift == whole.drift
    assert len(stage.values("patient.admit")) == 15


def test_a_sender_of_ever_new_names_grows_nothing_without_end():
    stage, rng = Stage(Bounds(paths_max=20)), random.Random(1)
    names = ["".join(rng.choices("abcdefghij", k=12)) for _ in range(3000)]

    for batch in range(0, len(names), 500):
        deliveries = [changed(ADMIT, f"payload.{name}", 1) for name in names[batch : batch + 500]]
        stage.deliver(*(_numbered(each, batch + number) for number, each in enumerate(deliveries)))

    told = stage.told()
    assert len(set(told)) == 21
    assert told[20] == (ADMIT, "too_many", "*")
    assert len(stage.state.copies[0][b"d/patient.admit"]) < 20_000


def _numbered(delivery, number):
    delivery["meta"]["messageId"] = f"n-{number}"
    return delivery


def test_types_without_end_share_one_state_with_an_end():
    stage, rng = Stage(Bounds(paths_max=20)), random.Random(1)
    deliveries = [samples.load(ADMIT) for _ in range(500)]
    for number, delivery in enumerate(deliveries):
        delivery["meta"] |= {"type": "".join(rng.choices("abcdefghij", k=12)), "messageId": f"n-{number}"}

    stage.deliver(*deliveries)

    assert len(set(stage.told())) == 21
    assert ("*", "too_many", "*") in stage.told()


def test_of_one_delivery_with_ever_so_many_new_names_only_some_are_told_apart():
    stage = Stage(Bounds(paths_max=20, values_max=1000), record_bytes_max=2**20)
    delivery = samples.load(ADMIT)
    delivery["payload"] |= {f"{'x' * (number % 60)}{'y' * (number // 60)}": 1 for number in range(1, 5000)}

    stage.deliver(delivery)

    assert len(stage.told()) == 21
    assert len(stage.values("patient.admit")) == 1


def test_a_delivery_counts_once_however_much_of_it_is_told_together():
    stage, rng = Stage(Bounds(paths_max=3)), random.Random(1)
    for number in range(12):
        delivery = samples.load(ADMIT)
        delivery["payload"] |= {"".join(rng.choices("abcdefghij", k=12)): 1 for _ in range(9)}
        stage.deliver(_numbered(delivery, number))

    assert [one["count"] for one in stage.drift if one["kind"] == "too_many"] == [1, 10]


def test_what_lies_beyond_the_values_that_are_looked_at_is_said_not_to_be_told():
    stage = Stage(Bounds(values_max=200))
    delivery = samples.load(URLS)
    document = delivery["patients"][0]["documents"][0]
    delivery["patients"][0]["documents"] = [document] * 40 + [document | {"late": 1}]

    stage.deliver(delivery)

    assert stage.told() == [(URLS, "too_many", "*")]


def test_what_was_planted_is_in_no_record_log_line_or_metric(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    telemetry.configure(level="debug", style="json")
    stage, rng = Stage(record_bytes_max=2**20), random.Random(7)
    deliveries = [planted(samples.load(name), rng) for name in samples.names() for _ in range(20)]
    for number, delivery in enumerate(deliveries):
        delivery["meta"]["messageId"] = f"n-{number}"

    stage.deliver(*deliveries)

    structlog.reset_defaults()
    rows = b"".join((row.key or b"") + row.value for row in stage.kafka.logs["metriport.drift", 0])
    assert len(stage.drift) > 150
    assert CANARY.encode() not in rows
    assert CANARY not in log.getvalue()
    assert "drift_seen" in log.getvalue()
    assert CANARY.encode() not in generate_latest(telemetry.REGISTRY)


def planted(part, rng):
    """Return it with the canary as value and as name, here and there."""
    if isinstance(part, dict):
        found = {name: CANARY if rng.random() < 0.1 else planted(value, rng) for name, value in part.items()}
        if rng.random() < 0.3:
            found[f"{CANARY}-{rng.random()}"] = CANARY
        if isinstance(part.get("type"), str) and "messageId" in part:
            found["type"] = part["type"]
        if "meta" in part and not isinstance(found["meta"], dict):
            found["meta"] = part["meta"]
        return found
    if isinstance(part, list):
        return [planted(each, rng) for each in part]
    return CANARY if rng.random() < 0.1 else part


def test_a_told_difference_is_valid_against_its_published_schema():
    jsonschema = pytest.importorskip("jsonschema")
    stage = Stage()

    stage.deliver(changed(ADMIT, "payload.newField", 1))

    jsonschema.Draft202012Validator(schema("drift")).validate(stage.drift[0])


def test_without_the_sentinel_nothing_is_compared():
    job = DeliveriesJob("metriport.")

    assert "metriport.drift" in job.outputs
    assert job._sentinel is None


def test_no_body_whatever_stops_the_sentinel():
    rng, stage = random.Random(3), Stage(record_bytes_max=2**20)
    bodies = [json.dumps(_anything(rng, 5)).encode() for _ in range(2000)]

    stage.deliver(*bodies)

    reasons = {
        dict(row.headers)["x-quarantine-reason"] for row in stage.kafka.logs["metriport.quarantine.deliveries", 0]
    }
    assert not reasons & {b"unreadable", b"unprocessable"}


def _anything(rng, depth):
    names = ["meta", "type", "messageId", "when", "data", "patients", "payload", "patientId", "documents", "url", "x"]
    kind = rng.randrange(8) if depth else rng.randrange(5)
    if kind >= 6 or depth == 5:
        return {rng.choice(names): _anything(rng, depth - 1) for _ in range(rng.randrange(6))}
    if kind == 5:
        return [_anything(rng, depth - 1) for _ in range(rng.randrange(4))]
    return [None, True, rng.getrandbits(70), 1.5, rng.choice([*messages.TYPES, "", "text"])][kind]


def test_no_time_that_kafka_gives_costs_a_delivery_that_differs():
    body = samples.encode(changed(ADMIT, "payload.news", 1))
    record = Record(0, body, b"k", "metriport.webhooks", timestamp=2**62)

    plan = plan_batch(
        DeliveriesJob("metriport.", bounds=Bounds()),
        [record],
        read=lambda keys: [None] * len(keys),
        sequencer=Sequencer(record.topic, 0, {}),
        record_bytes_max=2**20,
    )

    assert (plan.poison, len(plan.outputs["metriport.drift"])) == ([], 1)
