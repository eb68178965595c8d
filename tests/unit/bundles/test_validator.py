"""What a result says, and what it never says."""

import orjson
import pytest

from streams.bundles.validation.build import Standards
from streams.bundles.validation.chunk import Chunk, validate
from streams.bundles.validation.issues import operation_outcome
from tests.unit.bundles.stage import observation, validators

PLANTED = "Zzyzx-Planted-4711"


def validated(validator, resource):
    return validator.validate(resource if isinstance(resource, bytes) else orjson.dumps(resource))[0]


def nested(depth):
    return {"resourceType": "Basic", "code": {"text": "x"}, "extension": extension(depth)}


def extension(depth):
    found = [{"url": "u", "valueString": "x"}]
    for _ in range(depth):
        found = [{"url": "u", "extension": found}]
    return found


def test_a_valid_resource_is_accepted(validator):
    assert validated(validator, observation(1)).status == "accepted"


@pytest.mark.parametrize(
    ("spoiled", "code", "expression"),
    [
        ({"status": None}, "required", "Observation.status"),
        ({"bogus": 1}, "structure", "Observation.bogus"),
        ({"effectiveDateTime": "2020-02-30"}, "value", "Observation.effectiveDateTime"),
        ({"valueString": "x"}, "structure", "Observation"),
        ({"component": [{"code": {"coding": {"code": 1}}}]}, "structure", "Observation.component[0].code.coding"),
    ],
    ids=["required", "unknown element", "no such day", "two of a choice", "no list"],
)
def test_a_reject_says_where_and_in_which_way(validator, spoiled, code, expression):
    found = validated(validator, observation(1) | spoiled)

    assert found.status == "rejected"
    assert (found.issues[0].code, found.issues[0].expression) == (code, expression)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"status": {PLANTED: PLANTED}},
        {PLANTED: PLANTED},
        {"effectiveDateTime": PLANTED},
        {"valueQuantity": {"value": PLANTED}},
        {"subject": PLANTED},
        {"code": {"coding": [{"system": f"{PLANTED} x", "code": f" {PLANTED}"}]}},
        {"contained": [{"resourceType": PLANTED}]},
        {"contained": [{"resourceType": [PLANTED]}]},
        {"_status": PLANTED},
        {"resourceType": PLANTED},
        {"extension": [{"url": "u", "valueUuid": PLANTED, "valueUrl": {PLANTED: 1}}]},
        {"photo": [{"url": [PLANTED]}]},
        {"id": f"{PLANTED} {PLANTED}"},
        {"extension": [{"url": "u", PLANTED: {PLANTED: [PLANTED]}}]},
    ],
)
@pytest.mark.parametrize("level", ["structure", "lint"])
def test_no_value_and_no_unknown_name_gets_into_an_outcome(spoiled, level):
    validator = validators().validator(Standards(level=level))
    raw = orjson.dumps({"status": "final", **observation(1), **spoiled})

    result = validate(validator, Chunk([raw])).resources[0]

    assert result.status in {"rejected", "flagged"}
    assert PLANTED.encode() not in result.outcome + result.validation.encode()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"{", "not_json"),
        (b"[]", "not_an_object"),
        (b"{}", "no_resource_type"),
        (b'{"resourceType":7}', "no_resource_type"),
        (rb'{"resourceType":"Basic","id":"cut \ud83d"}', "lone_surrogate"),
        (rb'{"resourceType":"Basic","\ude00":1}', "lone_surrogate"),
        (b'{"resourceType":"Basic","a":NaN}', "not_a_number"),
        (b'{"resourceType":"Basic","a":[-Infinity]}', "not_a_number"),
        (b'{"resourceType":"Basic","a":1e999}', "number_out_of_range"),
        (b'{"resourceType":"Basic","a":%b}' % (b"7" * 5000), "number_out_of_range"),
        (b'{"resourceType":"Basic","a":"\xff"}', "bad_utf8"),
        (b'{"resourceType":"Basic","a":"\x01"}', "control_character"),
        (b'{"resourceType":"Basic","a":01}', "not_json"),
        (b'{"resourceType":"Basic","a":' + b"[" * 1000 + b"]" * 1000 + b"}", "depth_max"),
    ],
)
def test_what_is_no_resource_is_rejected(validator, raw, kind):
    assert validated(validator, raw).issues[0].kind == kind


@pytest.mark.parametrize(
    "raw",
    [
        b'{"resourceType":"Basic","code":{"text":"x"},"code":{"text":"x"}}',
        b'{"resourceType":"Basic","code":{"text":"x","text":"y"}}',
        rb'{"resourceType":"Basic","code":{"text":"x"},"\u0063ode":{"text":"x"}}',
        rb'{"resourceType":"Basic","code":{"text":"\"x\\"},"code":{"text":"\u0022x"}}',
        b'{"resourceType":"Basic","code":{"text":"x"},"id":"a","id":"a" }',
        b'{"resourceType":"Basic","resourceType":"Basic","code":{"text":"x"}}',
        b'{"resourceType":"MedicinalProduct","id":"a","id":"b"}',
    ],
)
@pytest.mark.parametrize("level", ["off", "structure", "lint"])
def test_a_resource_that_says_a_member_twice_is_rejected(raw, level):
    validator = validators().validator(Standards(level=level))

    found = validated(validator, raw)

    assert (found.status, found.issues[0].kind) == ("rejected", "duplicate_member")


@pytest.mark.parametrize(
    "raw",
    [
        rb'{ "resourceType" : "Basic", "code":{"text":"\"\\\" \u0022 \/ {[,:"} }',
        b'{"resourceType":"Basic","code":{"text":"x","coding":[{"code":"text"},{"code":"text"}]},"id":"code"}',
        '{"resourceType":"Basic","code":{"text":"\u00e9"},"id":"\u0061"}'.encode(),
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50E2}}',
    ],
)
def test_a_resource_that_says_no_member_twice_is_not_taken_for_one(validator, raw):
    assert validated(validator, raw).status == "accepted"


def test_a_type_that_fhir_does_not_have_is_rejected(validator):
    assert validated(validator, {"resourceType": "Nope"}).issues[0].code == "not-supported"


def test_a_type_that_only_r4_has_is_passed_on_unchecked(validator):
    assert validated(validator, {"resourceType": "MedicinalProduct"}).header == "structure unchecked"


def test_a_type_whose_level_is_off_is_passed_on_unchecked():
    validator = validators().validator(Standards(level_by_type={"Observation": "off"}))

    assert validated(validator, {"resourceType": "Observation"}).header == "off unchecked"


def test_lint_flags_what_the_library_lets_pass_and_never_rejects():
    validator = validators().validator(Standards(level="lint"))

    found = validated(validator, {"resourceType": "Patient", "gender": "m"})

    assert (found.header, found.issues[0].severity) == ("lint flagged", "warning")


def test_an_extension_with_only_a_primitive_extension_is_accepted(validator):
    reason = {"extension": [{"url": "http://x/absent", "valueCode": "unknown"}]}

    found = validated(validator, observation(1, extension=[{"url": "http://x/y", "_valueString": reason}]))

    assert found.status == "accepted"


@pytest.mark.parametrize(
    ("resource", "limit"),
    [
        (nested(40), "depth_max"),
        (observation(1, note=[{"text": "x"}] * 30_000), "elements_max"),
        (observation(1, note=[{"text": "x" * 17_000_000}]), "resource_bytes_max"),
    ],
    ids=["depth", "elements", "bytes"],
)
def test_a_resource_over_a_limit_is_too_costly(validator, resource, limit):
    issue = validated(validator, resource).issues[0]

    assert (issue.code, issue.kind) == ("too-costly", limit)


def test_brackets_in_texts_do_not_count(validator):
    assert validated(validator, observation(1, note=[{"text": '{["\\' * 30_000}])).status == "accepted"


def test_an_outcome_lists_no_more_issues_than_the_limit(validator):
    found = validated(validator, observation(1, note=[{"text": 1}] * 100))

    assert len(found.issues) == 21
    assert found.issues[-1].text == "80 more issues are not listed."


def test_every_outcome_is_a_valid_operation_outcome(validator):
    found = validated(validator, {"resourceType": "Observation", "bogus": 1})

    assert validators().library.failure(orjson.loads(operation_outcome(found.issues))) is None


def test_a_wrong_quick_yes_is_counted_and_the_last_one(validator):
    validator._fast = lambda _resource, _raw: None
    validator._audit_one_in = 2
    good, bad = orjson.dumps(observation(1)), orjson.dumps({"resourceType": "Observation"})

    validated = validate(validator, Chunk([good, bad, bad]))

    assert [result.status for result in validated.resources] == ["accepted", "rejected", "rejected"]
    assert (validated.mismatches, validator._fast is not None) == (1, False)


@pytest.mark.parametrize(
    ("spoiled", "text"),
    [
        ({"bogus": 1}, "FHIR 4.0.1 does not have this element here."),
        ({"Planted-4711": 1}, "This element holds one that FHIR 4.0.1 does not have here."),
        ({"code": "x"}, "An object is expected, not a text. Expected: CodeableConcept."),
        ({"subject": "Patient/1"}, "An object is expected, not a text. Expected: Reference."),
        ({"category": {"text": "x"}}, "A list is expected. Expected: CodeableConcept."),
        ({"effectiveDateTime": "2020-02-30"}, "The value is not one of this data type. Expected: dateTime."),
        ({"component": [{"code": {"text": 7}}]}, "The value is not one of this data type. Expected: string."),
    ],
)
def test_a_reject_names_what_is_unknown_and_says_what_is_expected(validator, spoiled, text):
    found = validated(validator, observation(1) | spoiled)

    assert found.issues[0].text == text


@pytest.mark.parametrize(
    "reference",
    [
        *(
            "Practitioner/1",
            "Practitioner/1/_history/2",
            "https://x.org/fhir/Practitioner/1",
            "#contained",
            "urn:uuid:1",
        ),
        *("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|1", "https://x.org/fhir/Organization?name=a/b"),
        *("https://x.org/people/1", "https://x.org/fhir/Practitioner/1/_history/2"),
    ],
)
def test_lint_lets_every_form_of_a_reference_pass(reference):
    validator = validators().validator(Standards(level="lint"))

    found = validated(validator, observation(1, performer=[{"reference": reference}]))

    assert found.header == "lint accepted"


@pytest.mark.parametrize("reference", ["Device/1", "Device?name=x", "https://x.org/fhir/Device/1", "Nonsense/1"])
def test_lint_flags_a_reference_to_a_type_that_may_not_stand_there(reference):
    validator = validators().validator(Standards(level="lint"))

    found = validated(validator, observation(1, performer=[{"reference": reference}]))

    assert [issue.kind for issue in found.issues] == ["reference_target"]
