"""What a bundle becomes, from its bytes to the topics."""

import json

import pytest

from streams.bundles.validation.chunk import CRASHED_MAX, crashed
from tests.unit.bundles.stage import PATIENT, SourceRecord, bundle_of, derived_from, observation, patient

ALIASES = "metriport.fhir.aliases"
WEEKS = ("2025-01-01T00:00:00Z", "2025-01-05T00:00:00Z", "2025-01-09T00:00:00Z", "2025-01-17T00:00:00Z")


def test_a_first_bundle_is_published_between_two_marks_with_the_bytes_received(stage):
    raw = b'{"resourceType" : "Patient","id":"p-1", "birthDate":"1970-01-01" }'

    outputs = stage.deliver(b'{"resourceType":"Bundle","entry":[{"resource": ' + raw + b"}]}")

    changes = outputs.of("fhir.changes")
    kinds = [dict(row.headers)["x-change"] for row in changes]
    assert kinds == [b"snapshot.started", b"created", b"snapshot.completed"]
    assert changes[1].value == raw
    assert outputs.of("fhir.state.Patient")[0].value == raw


def test_a_state_record_is_keyed_by_patient_type_and_identity(stage):
    outputs = stage.deliver([patient(), {"resourceType": "Basic", "id": "b-1", "code": {"text": "x"}}])

    assert [row.key for row in outputs.of("fhir.state.Patient")] == [b"p-1/Patient/p-1"]
    assert [row.key for row in outputs.of("fhir.state.other")] == [b"p-1/Basic/b-1"]


def test_a_change_carries_every_pinned_header(stage):
    outputs = stage.deliver([observation(1)])

    headers = dict(outputs.of("fhir.changes")[1].headers)
    assert len(headers.pop("x-content-hash")) == 32
    expected = {
        "x-change": b"created",
        "x-resource-type": b"Observation",
        "x-identity": b"o-1",
        "x-resource-id": b"o-1",
        "x-version": b"1",
        "x-snapshot-id": b"m-1",
        "x-fhir-version": b"4.0.1",
        "x-validation": b"structure accepted",
    }
    assert expected.items() <= headers.items()


def test_an_unchanged_bundle_publishes_no_change(stage):
    resources = [patient(), observation(1), observation(2)]
    stage.deliver(resources)

    outputs = stage.deliver(resources)

    assert outputs.of("fhir.changes") == []
    assert outputs.counts == {"accepted": 3, "unchanged": 3}


def test_unchanged_resources_in_other_bytes_of_a_bundle_are_not_validated_again(stage):
    stage.deliver([patient(), observation(1), observation(2)])
    stage.validator.validated = 0

    outputs = stage.deliver([observation(2), patient(), observation(1)])

    assert outputs.changes() == []
    assert stage.validator.validated == 0


def test_one_changed_value_is_one_updated_with_the_next_version(stage):
    stage.deliver([patient(), observation(1), observation(2)])

    outputs = stage.deliver([patient(), observation(1), observation(2, value=7)])

    assert outputs.changes() == [("updated", "Observation", "o-2")]
    assert dict(outputs.of("fhir.changes")[1].headers)["x-version"] == b"2"


def test_conversion_times_alone_are_no_change(stage):
    stage.deliver([observation(1, meta={"lastUpdated": "2025-01-01T00:00:00Z", "source": "a"})])

    outputs = stage.deliver([observation(1, meta={"lastUpdated": "2025-02-02T00:00:00Z", "source": "b"})])

    assert outputs.changes() == []
    assert outputs.counts == {"accepted": 1, "unchanged": 1}


def test_a_resource_missing_from_two_complete_snapshots_past_the_grace_is_removed(stage):
    stage.deliver([patient(), observation(1)], when=WEEKS[0])

    first = stage.deliver([patient()], when=WEEKS[1])
    second = stage.deliver([patient(language="de")], when=WEEKS[2])
    third = stage.deliver([patient()], when=WEEKS[3])

    assert (first.changes(), first.counts["missing"]) == ([], 1)
    assert second.changes() == [("updated", "Patient", "p-1")]
    assert third.changes() == [("updated", "Patient", "p-1"), ("removed", "Observation", "o-1")]
    assert third.of("fhir.state.Observation")[0].value is None


def test_the_same_bytes_are_one_absence_however_often_they_come(stage):
    stage.deliver([patient(), observation(1)], when=WEEKS[0])
    stage.deliver([patient()], when=WEEKS[1])
    stage.deliver([observation(2)], when=WEEKS[1], complete=False)

    outputs = [stage.deliver([patient()], when=when) for when in WEEKS[2:]]

    assert [output.changes() for output in outputs] == [[], []]
    assert [output.counts["missing"] for output in outputs] == [2, 2]


def test_a_filtered_snapshot_never_removes(stage):
    stage.deliver([patient(), observation(1)], when=WEEKS[0])

    outputs = [stage.deliver([patient(), observation(2)], when=when, complete=False) for when in WEEKS[1:]]

    assert [output.changes() for output in outputs] == [[("created", "Observation", "o-2")], [], []]
    assert all("missing" not in output.counts for output in outputs)


def test_a_removed_resource_that_comes_back_is_created_with_the_next_version(stage):
    for when, resources in zip(WEEKS, ([patient(), observation(1)], [patient()], [], [patient()]), strict=True):
        stage.deliver(resources, when=when)

    outputs = stage.deliver([patient(), observation(1)], when="2025-02-01T00:00:00Z")

    assert outputs.changes() == [("created", "Observation", "o-1")]
    assert dict(outputs.of("fhir.changes")[1].headers)["x-version"] == b"2"


def test_an_older_snapshot_is_stale_and_changes_nothing(stage):
    stage.deliver([observation(1, value=2)], when=WEEKS[1])

    outputs = stage.deliver([observation(1, value=1), observation(2)], when=WEEKS[0])

    assert outputs.changes() == []
    assert outputs.snapshot["stale"] is True


def test_what_an_encounter_no_longer_has_is_missing_for_as_long_as_anything_else(stage):
    encounter = {"resourceType": "Encounter", "id": "e-1", "status": "in-progress", "class": {"code": "IMP"}}
    stage.deliver([patient(), observation(9)], when=WEEKS[0])
    stage.deliver([encounter, observation(1)], kind="encounter", when=WEEKS[0])

    outputs = [
        stage.deliver([encounter, observation(2, value=value)], kind="encounter", when=when)
        for value, when in enumerate(WEEKS[1:])
    ]

    changes = [output.changes() for output in outputs]
    assert changes[0] == [("created", "Observation", "o-2")]
    assert changes[1] == [("updated", "Observation", "o-2")]
    assert changes[2] == [("updated", "Observation", "o-2"), ("removed", "Observation", "o-1")]


def test_a_late_encounter_bundle_does_not_take_back_what_a_newer_record_says(stage):
    encounter = {"resourceType": "Encounter", "id": "e-1", "status": "in-progress", "class": {"code": "IMP"}}
    stage.deliver([observation(1, value=2)], when=WEEKS[1])

    outputs = stage.deliver([encounter, observation(1, value=1)], kind="encounter", when=WEEKS[0])

    assert outputs.changes() == [("created", "Encounter", "e-1")]


def test_a_resource_folded_into_another_is_superseded(stage):
    stage.deliver([observation(1), observation(2)])

    outputs = stage.deliver([observation(1, extension=derived_from("Observation", "o-2"))])

    assert outputs.changes() == [("superseded", "Observation", "o-2")]
    assert dict(outputs.of("fhir.changes")[1].headers)["x-superseded-by"] == b"o-1"
    assert outputs.of("fhir.state.Observation")[0].value is None


def test_a_resource_that_survives_under_another_id_keeps_its_identity(stage):
    stage.deliver([observation(1, extension=derived_from("Observation", "o-7"))])

    outputs = stage.deliver([observation(1, id="o-7", extension=derived_from("Observation", "o-1"))])

    assert outputs.changes() == []


def test_new_ids_without_any_link_are_recognised_by_what_the_resource_is(stage):
    stage.deliver([observation(1), observation(2)])

    outputs = stage.deliver([observation(1, id="new-1"), observation(2, id="new-2", value=5)])

    assert outputs.changes() == [("created", "Observation", "new-2")]


def test_a_shared_resource_is_known_by_its_content_and_references_follow(stage):
    def documents(name):
        practitioner = {"resourceType": "Practitioner", "id": name, "name": [{"family": "X"}]}
        return [practitioner, observation(1, performer=[{"reference": f"Practitioner/{name}"}])]

    stage.deliver(documents("a"))

    outputs = stage.deliver(documents("b"))

    assert outputs.changes() == []


def test_a_rejected_resource_does_not_hold_up_its_neighbours(stage):
    outputs = stage.deliver([patient(), {"resourceType": "Observation", "id": "bad"}, observation(1)])

    rejected = outputs.of("fhir.rejected")[0]
    headers = dict(rejected.headers)
    assert [change for change, *_ in outputs.changes()] == ["created", "created"]
    assert outputs.counts == {"accepted": 2, "rejected": 1, "created": 2}
    assert json.loads(rejected.value)["resourceType"] == "OperationOutcome"
    assert (headers["x-resource-type"], headers["x-resource-id"]) == (b"Observation", b"bad")


def test_the_pointer_of_a_rejected_resource_leads_to_its_bytes(stage, tmp_path):
    bad = {"resourceType": "Observation", "id": "bad", "note": [{"text": "é"}]}

    outputs = stage.deliver([patient(), bad, observation(1)])

    headers = dict(outputs.of("fhir.rejected")[0].headers)
    start, end = (int(part) for part in headers["x-range"].split(b"-"))
    assert json.loads((tmp_path / headers["x-blob"].decode()).read_bytes()[start:end]) == bad


def test_a_resource_rejected_again_is_counted_and_not_published_again(stage):
    bad = {"resourceType": "Observation", "id": "bad"}
    stage.deliver([patient(), bad])

    outputs = stage.deliver([bad, patient()])

    assert outputs.of("fhir.rejected") == []
    assert outputs.counts == {"accepted": 1, "unchanged": 1, "rejected": 1}


def test_a_rejected_version_leaves_the_accepted_one_in_the_state(stage):
    stage.deliver([observation(1)])

    outputs = stage.deliver([{"resourceType": "Observation", "id": "o-1"}])

    assert outputs.changes() == []
    assert "p-1/Observation/o-1" in stage.folded_state()


def test_the_last_of_two_resources_with_one_id_counts(stage):
    outputs = stage.deliver([observation(1, value=1), observation(1, value=2)])

    assert outputs.changes() == [("created", "Observation", "o-1")]
    assert b'"value": 2' in outputs.of("fhir.changes")[1].value


def test_a_resource_larger_than_a_record_is_published_as_a_pointer(stage):
    outputs = stage.deliver([observation(1, note=[{"text": "x" * 200_000}])])

    row = outputs.of("fhir.state.Observation")[0]
    assert dict(row.headers)["content-type"].endswith(b"pointer+json")
    assert json.loads(row.value)["blob"] == "blob-1"
    assert dict(row.headers)["x-identity"] == b"o-1"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"<html>", "not_json"),
        (b'{"resourceType":"Patient","id":"p-1"}', "not_a_bundle"),
        (b'[{"resourceType":"Bundle"}]', "not_a_bundle"),
        (bundle_of([patient(), observation(1)])[:-30], "truncated"),
        (bundle_of([patient(id="p-2"), observation(1)]), "other_patient"),
    ],
    ids=["not JSON", "not a bundle", "a list", "truncated", "another patient's"],
)
def test_an_unreadable_bundle_publishes_nothing_but_its_reason(stage, raw, reason):
    outputs = stage.deliver(raw)

    assert outputs.snapshot["reason"] == reason
    assert outputs.changes() == []
    assert dict(outputs.of("quarantine.bundles")[0].headers)["x-quarantine-reason"] == reason.encode()
    assert stage.state == {}


def test_an_empty_result_is_a_snapshot_without_resources(stage):
    stage.deliver([patient()])

    outputs = stage.deliver(b"", blob=None, bytes=0, sha256=None)

    assert outputs.counts == {"missing": 1}
    assert outputs.snapshot["reason"] is None


@pytest.mark.parametrize("facts", [{"format": "pdf"}, {"outcome": "expired"}], ids=["pdf", "expired"])
def test_what_is_no_fetched_json_is_left_alone(stage, facts):
    outputs = stage.deliver([patient()], **facts)

    assert outputs == []


def test_a_bundle_with_a_byte_order_mark_is_read(stage):
    outputs = stage.deliver(b"\xef\xbb\xbf" + bundle_of([patient()]))

    assert outputs.changes() == [("created", "Patient", PATIENT)]


def test_resources_of_another_validator_are_validated_again(stage):
    stage.deliver([patient(), observation(1)])
    stage.job._options = stage.job._options._replace(validator_id="v2")
    stage.validator.validated = 0

    outputs = stage.deliver([patient(), observation(1)])

    assert stage.validator.validated == 2
    assert outputs.changes() == []


def test_a_snapshot_counts_its_resources_by_type(stage):
    outputs = stage.deliver([patient(), observation(1), observation(2)])

    assert outputs.snapshot["byType"] == {"Observation": 2, "Patient": 1}


@pytest.mark.parametrize(
    "metadata",
    [
        b'{"n":123456789012345678901234567890}',
        b'{"n":1e999}',
        b'{"n":' + b"7" * 5000 + b"}",
        b'{ "t":"0001-01-01T00:00:00+14:00", "u":"9999-12-31T23:59:59-12:00" }',
    ],
    ids=["a number over 64 bits", "more than a float holds", "5,000 digits", "years 1 and 9999"],
)
def test_what_nobody_looks_into_is_passed_on_as_it_came(stage, metadata):
    outputs = stage.deliver([patient()], metadata="METADATA", replaced={b'"METADATA"': metadata})

    assert outputs.changes() == [("created", "Patient", PATIENT)]
    assert b'"metadata":' + metadata in outputs.of("fhir.snapshots")[0].value


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-23:59", "x", "2025-W01-1"])
def test_no_time_costs_a_bundle(stage, when):
    outputs = stage.deliver([patient()], when=when)

    assert outputs.changes() == [("created", "Patient", PATIENT)]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"blob": "nowhere"}, "no_blob"),
        ({"blob": "", "bytes": 5}, "no_blob"),
        ({"patientId": ""}, "no_patient"),
        ({"patientId": None}, "no_patient"),
    ],
    ids=["no such blob", "no name of a blob", "an empty patient", "no patient"],
)
def test_whatever_a_bundle_is_refused_for_is_told_with_its_reason(stage, facts, reason):
    outputs = stage.deliver([patient()], **facts)

    assert outputs.snapshot["reason"] == reason
    assert dict(outputs.of("quarantine.bundles")[0].headers)["x-quarantine-reason"] == reason.encode()


def test_a_fault_of_ours_is_told_too(stage, monkeypatch):
    monkeypatch.setattr(stage.validator, "validate", lambda *_: 1 / 0)

    outputs = stage.deliver([patient()])

    assert outputs.snapshot["reason"] == "unprocessable"
    assert [row.topic for row in outputs] == ["metriport.fhir.snapshots", "metriport.quarantine.bundles"]


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"{}", b"null", b'{"metadata":"\xff"}', b'{"metadata":' + b"[" * 5000 + b"]" * 5000 + b"}"],
)
def test_a_record_that_is_none_goes_to_quarantine(stage, value):
    outputs = stage.deliver_record(SourceRecord(value, 1))

    assert [row.topic for row in outputs] == ["metriport.quarantine.bundles"]
    assert outputs[0].value == value


@pytest.mark.parametrize(
    ("spoiled", "kind"),
    [
        (rb'"text": "cut \ud83d"', "lone_surrogate"),
        (b'"text": NaN', "not_a_number"),
        (b'"text": "\xff"', "bad_utf8"),
        (b'"text": "x", "text": "y"', "duplicate_member"),
        (b'"text": ' + b"[" * 1000 + b"]" * 1000, "depth_max"),
    ],
)
def test_a_resource_that_is_no_json_costs_itself_only_and_what_it_was_before_stays(stage, spoiled, kind):
    bundle = bundle_of([patient(), observation(1), observation(2, note=[{"text": "SPOIL"}]), observation(3)])
    stage.deliver(bundle, when=WEEKS[0])

    outputs = [stage.deliver(bundle.replace(b'"text": "SPOIL"', spoiled), when=when) for when in WEEKS[1:]]

    refused = outputs[0].of("fhir.rejected")
    assert [json.loads(row.value)["issue"][0]["details"]["coding"][0]["code"] for row in refused] == [kind]
    assert dict(refused[0].headers)["x-identity"] == b"o-2"
    assert [output.changes() for output in outputs] == [[], [], []]
    assert [output.counts for output in outputs] == [{"accepted": 3, "unchanged": 3, "rejected": 1}] * 3


def test_more_resources_than_a_bundle_may_have_are_told_as_that(stage):
    stage.job._options = stage.job._options._replace(resources_max=1000)

    outputs = stage.deliver(b'{"resourceType":"Bundle","entry":[%b]}' % b",".join([b"{}"] * 1001))

    assert outputs.snapshot["reason"] == "too_many_resources"


@pytest.mark.parametrize("text", ["Z", "Z" * 200_000], ids=["small", "larger than a record"])
def test_a_resource_whose_check_does_not_end_is_quarantined_alone(stage, monkeypatch, text):
    validate_well = stage.validator.validate

    def validate(chunks, moved):
        for chunk in chunks:
            well = next(validate_well([chunk], moved))
            yield [crashed() if b"Z" in raw else found for found, raw in zip(well, chunk, strict=True)]

    monkeypatch.setattr(stage.validator, "validate", validate)
    bad = observation(2, note=[{"text": text}])

    outputs = stage.deliver([patient(), observation(1), bad])

    value = json.loads(outputs.of("quarantine.bundles")[0].value)
    assert [kind for kind, *_ in outputs.changes()] == ["created", "created"]
    assert value == bad if text == "Z" else value["blob"] == "blob-1"
    assert outputs.counts["rejected"] == 1


def test_a_bundle_whose_resources_do_not_come_to_an_end_is_too_costly(stage, monkeypatch):
    monkeypatch.setattr(stage.validator, "validate", lambda chunks, _: ([crashed()] * len(each) for each in chunks))

    outputs = stage.deliver([observation(number) for number in range(CRASHED_MAX + 1)])

    assert outputs.snapshot["reason"] == "too_costly"
    assert outputs.changes() == []


@pytest.mark.parametrize(
    "nameless",
    [b'{"resourceType":"Patient"}', b'{"resourceType":"Patient","id":5}', b'{"a":NaN,"resourceType":"Patient"}'],
)
def test_a_patient_without_an_id_is_not_another_patient(stage, nameless):
    bundle = bundle_of([observation(1)]).replace(b'"entry": [', b'"entry": [{"resource":' + nameless + b"}, ")

    outputs = stage.deliver(bundle)

    assert outputs.snapshot["reason"] is None
    assert ("created", "Observation", "o-1") in outputs.changes()


def test_a_whole_record_that_comes_after_a_newer_part_of_it_counts(stage):
    stage.deliver([patient(), observation(1, value=2), observation(2)], when=WEEKS[1], complete=False)

    outputs = stage.deliver([patient(), observation(1, value=1), observation(3)], when=WEEKS[0])

    assert outputs.changes() == [("created", "Observation", "o-3")]
    assert outputs.snapshot["stale"] is False
    assert "missing" not in outputs.counts


def test_a_part_of_the_record_does_not_bring_back_what_a_newer_whole_one_did_not_have(stage):
    stage.deliver([patient(), observation(1)], when=WEEKS[2])

    outputs = stage.deliver([patient(), observation(1, value=7), observation(2)], when=WEEKS[1], complete=False)

    assert outputs.changes() == []
    assert outputs.snapshot["stale"] is False


def test_an_older_part_does_not_end_the_absence_that_a_newer_whole_record_showed(stage):
    stage.deliver([patient(), observation(1)], when=WEEKS[0])
    stage.deliver([patient()], when=WEEKS[2])

    stage.deliver([patient(), observation(1)], when=WEEKS[1], complete=False)
    outputs = stage.deliver([patient(language="de")], when=WEEKS[3])

    assert ("removed", "Observation", "o-1") in outputs.changes()


def test_notifications_add_and_update_in_whatever_order_they_come_and_remove_nothing(stage):
    stage.deliver([patient(), observation(1)], when=WEEKS[1])

    later = stage.deliver([observation(2, value=2)], kind="notification", when=WEEKS[3], complete=False)
    earlier = stage.deliver([observation(2), observation(3)], kind="notification", when=WEEKS[0], complete=False)

    assert later.changes() == [("created", "Observation", "o-2")]
    assert earlier.changes() == [("created", "Observation", "o-3")]
    assert earlier.snapshot["stale"] is False


def test_what_a_notification_brought_stays_though_the_record_does_not_have_it(stage):
    stage.deliver([observation(2)], kind="notification", when=WEEKS[0], complete=False)

    outputs = [stage.deliver([patient(language=when[:10])], when=when) for when in WEEKS[1:]]

    assert [kind for output in outputs for kind, *_ in output.changes()] == ["created", "updated", "updated"]


def test_a_when_in_the_future_does_not_make_what_comes_later_stale(stage):
    stage.deliver([observation(1)], when="2999-01-01T00:00:00Z", receivedAt=WEEKS[0])

    outputs = stage.deliver([observation(1, value=2)], when=WEEKS[1], receivedAt=WEEKS[1])

    assert outputs.changes() == [("updated", "Observation", "o-1")]


@pytest.mark.parametrize("when", ["x", "2025-13-01T00:00:00Z"])
def test_where_when_is_unreadable_the_time_of_receipt_counts(stage, when):
    stage.deliver([observation(1)], when=WEEKS[0], receivedAt=WEEKS[0])

    outputs = stage.deliver([observation(1, value=2)], when=when, receivedAt=WEEKS[1])

    assert outputs.changes() == [("updated", "Observation", "o-1")]


def test_a_state_that_a_when_in_the_future_spoiled_heals(stage):
    stage.deliver([patient(), observation(1), observation(2)], when="2999-01-01T00:00:00Z")
    stage.deliver([patient(), observation(1)], when="2999-02-01T00:00:00Z")

    outputs = [
        stage.deliver([patient(), observation(1, value=number)], when=when, receivedAt=when)
        for number, when in enumerate(WEEKS, start=3)
    ]

    assert [output.snapshot["stale"] for output in outputs] == [False] * 4
    assert all(("updated", "Observation", "o-1") in output.changes() for output in outputs)
    assert ("removed", "Observation", "o-2") in outputs[2].changes()


def test_a_resource_that_an_older_version_lost_is_published_once_it_comes_again(stage):
    scope = ["consolidated", 1_735_689_600_000, 1_735_689_600_000, "", 1, 1, {"Patient": 1}]
    kept = ["Patient", PATIENT, [PATIENT], b"r" * 16, b"c" * 16, b"m" * 8, 1, 1_735_689_600_000, [0], 0, 0, 0, b""]
    lost = ["Observation", "o-1", ["o-1"], b"", b"c" * 16, b"m" * 8, 4, 1_735_689_600_000, [0], 1, 5, 5, b"x" * 16]
    stage.remember({b"manifest/p-1": [1, [0], "v0", [scope]], b"manifest/p-1/1/0/0": [kept, lost]})

    outputs = stage.deliver([patient(), observation(1), observation(2)], when=WEEKS[1])

    assert set(outputs.changes()) == {
        ("updated", "Patient", PATIENT),
        ("created", "Observation", "o-1"),
        ("created", "Observation", "o-2"),
    }
    assert [dict(row.headers)["x-version"] for row in outputs.of("fhir.state.Observation")] == [b"5", b"1"]
    assert stage.deliver([patient(), observation(1), observation(2)], when=WEEKS[2]).changes() == []


def changes_of(outputs):
    rows = [(row, dict(row.headers)) for row in outputs.of("fhir.changes")]
    return [(row, headers) for row, headers in rows if not headers["x-change"].startswith((b"snapshot", b"removal"))]


def test_changes_are_numbered_without_a_gap_and_the_state_has_the_same_numbers(stage):
    outputs = [
        stage.deliver([patient(), observation(1), observation(2)], when=WEEKS[0]),
        stage.deliver([patient(), observation(1, value=2), {"resourceType": "Observation", "id": "x"}], when=WEEKS[1]),
        stage.deliver([patient(language="de"), observation(1, value=2)], when=WEEKS[3]),
    ]

    numbers = [int(headers["x-sequence"]) for output in outputs for _, headers in changes_of(output)]
    states = [row for output in outputs for row in output if ".fhir.state." in row.topic]
    assert numbers == list(range(1, 7))
    assert sorted(int(dict(row.headers)["x-sequence"]) for row in states) == numbers
    assert [output.snapshot["sequence"] for output in outputs] == [3, 4, 6]


def test_a_change_says_what_it_changed_and_of_whom_it_is(stage):
    stage.deliver([patient(), observation(1)], externalId="mrn-7")

    outputs = stage.deliver([patient(), observation(1, value=2)], externalId="mrn-7")

    [(_, headers)] = changes_of(outputs)
    assert len(headers.pop("x-previous-content-hash")) == 32
    expected = {
        "ce_type": b"fhir.changes.updated",
        "ce_subject": b"Observation/o-1",
        "x-external-id": b"mrn-7",
        "x-kind": b"consolidated",
        "x-complete": b"true",
        "x-version": b"2",
        "x-previous-version": b"1",
    }
    assert expected.items() <= headers.items()
    assert dict(outputs.of("fhir.state.Observation")[0].headers)["ce_type"] == b"fhir.state.Observation.updated"


def test_the_first_mark_says_what_comes(stage):
    outputs = stage.deliver([patient(), observation(1)])

    mark = json.loads(outputs.of("fhir.changes")[0].value)
    assert (mark["kind"], mark["counts"]["created"]) == ("consolidated", 2)


def test_what_is_removed_points_at_its_last_bytes(stage, tmp_path):
    stage.deliver([patient(), observation(1)], when=WEEKS[0])
    stage.deliver([patient(), observation(1, value=2)], when=WEEKS[0])
    stage.deliver([patient()], when=WEEKS[1])

    outputs = stage.deliver([patient(language="de")], when=WEEKS[3])

    [headers] = [headers for _, headers in changes_of(outputs) if headers["x-change"] == b"removed"]
    start, end = (int(part) for part in headers["x-range"].split(b"-"))
    assert json.loads((tmp_path / headers["x-blob"].decode()).read_bytes()[start:end]) == observation(1, value=2)
    assert headers["x-previous-version"] == b"2"


def test_a_change_names_the_documents_it_is_from(stage):
    url = "https://public.metriport.com/fhir/StructureDefinition/doc-id-extension.json"
    extension = [{"url": url, "valueString": "doc-1"}, {"valueString": "doc-2", "url": url}]

    outputs = stage.deliver([observation(1, extension=extension), observation(2)])

    assert [headers.get("x-source-document") for _, headers in changes_of(outputs)] == [b"doc-1,doc-2", None]


def test_ids_lead_to_identities(stage):
    practitioner = {"resourceType": "Practitioner", "id": "x", "name": [{"family": "X"}]}

    outputs = stage.deliver([practitioner, observation(1), observation(2)])
    moved = stage.deliver([practitioner, observation(1, id="o-7"), observation(2)])
    folded = stage.deliver([practitioner, observation(1, id="o-7", extension=derived_from("Observation", "o-2"))])

    [identity] = [identity for _, kind, identity in outputs.changes() if kind == "Practitioner"]
    aliases = {key: value and json.loads(value)["identity"] for key, value in stage.folded(ALIASES).items()}
    assert aliases == {"p-1/Practitioner/x": identity, "p-1/Observation/o-7": "o-1", "p-1/Observation/o-2": "o-1"}
    assert (moved.changes(), folded.changes()) == ([], [("superseded", "Observation", "o-2")])


def test_a_superseded_one_that_comes_back_does_not_begin_again_under_its_name(stage):
    stage.deliver([observation(1), observation(2)])
    stage.deliver([observation(1, extension=derived_from("Observation", "o-2"))])

    outputs = stage.deliver([observation(1), observation(2)])

    [(_, headers)] = changes_of(outputs)
    aliases = {key: json.loads(value)["identity"] for key, value in stage.folded(ALIASES).items()}
    assert headers["x-identity"] != b"o-2"
    assert aliases["p-1/Observation/o-2"] == headers["x-identity"].decode()


def test_a_snapshot_says_what_the_state_has_and_what_is_missing(stage):
    stage.deliver([patient(), observation(1), observation(2)], when=WEEKS[0])

    outputs = stage.deliver([patient(), observation(1)], when=WEEKS[1])

    assert outputs.snapshot["byType"] == {"Observation": 1, "Patient": 1}
    assert outputs.snapshot["state"] == {"Observation": 2, "Patient": 1}
    assert outputs.snapshot["missing"] == ["Observation/o-2"]
