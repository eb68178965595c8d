"""The published schemas are what the models say, and what the topics hold."""

import json
from pathlib import Path

import jsonschema
import pytest

from models import body, headers, reasons, samples, schemas, topics
from models.stages import STAGES
from streams.deliveries.normalize import normalize

FOLDER = Path(schemas.__file__).parent
KNOWN = [name for name in samples.names() if samples.load(name)["meta"]["type"] in schemas.MODELS]


def test_the_committed_schemas_are_up_to_date():
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.json")}

    assert committed == schemas.files(), "run: make schemas"


@pytest.mark.parametrize("name", KNOWN)
def test_a_normalized_sample_is_valid_against_its_published_schema(name):
    delivery = samples.load(name)
    schema = json.loads((FOLDER / f"{delivery['meta']['type']}.json").read_text())

    value = normalize(body.parse(samples.encode(delivery)), index=0, received_at="2025-10-30T12:00:01.000Z").value

    jsonschema.Draft202012Validator(schema).validate(json.loads(value))


def test_the_asyncapi_document_describes_every_topic_a_team_may_read_and_no_other():
    document = schemas.asyncapi()

    public = {topic.name for topic in topics.catalogue() if not topic.internal}
    assert set(document["channels"]) == public
    assert set(document["operations"]) == {f"read {name}" for name in public}


@pytest.mark.parametrize("name", schemas.MODELS)
def test_a_topic_with_a_model_leads_to_its_schema(name):
    message = schemas.asyncapi()["channels"][name]["messages"]["record"]

    assert json.loads((FOLDER / message["payload"]["$ref"]).read_text())["$id"] == f"urn:metriport-streams:{name}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_quarantine_topic_lists_the_reasons_of_its_stage_with_their_sentences(stage):
    message = schemas.asyncapi()["channels"][topics.quarantine(stage)]["messages"]["record"]

    listed = message["headers"]["properties"][headers.QUARANTINE_REASON]["oneOf"]
    assert {each["const"]: each["description"] for each in listed} == {
        reason: reasons.SAYS[reason] for reason in reasons.OF_STAGE[stage]
    }


def test_the_asyncapi_document_names_every_header_of_every_topic():
    document = schemas.asyncapi()

    for topic in (topic for topic in topics.catalogue() if not topic.internal):
        ((reference,),) = (message["traits"] for message in document["channels"][topic.name]["messages"].values())
        trait = document["components"]["messageTraits"][reference["$ref"].rpartition("/")[2]]["headers"]
        declared = headers.of(topic.family)
        assert set(trait["properties"]) == set(declared)
        assert set(trait["required"]) == {name for name in declared if topic.family in declared[name].always}
