"""Metriport's own SDK accepts the samples: what it said of them last, see `tests/sdk/check.mjs`."""

import hashlib
import json
from importlib import resources
from pathlib import Path

import pytest

from models import samples

AGAIN = "run in tests/sdk: npm install && npm run --silent check > verdicts.json"
VERDICTS = json.loads((Path(__file__).parents[1] / "sdk" / "verdicts.json").read_text())

# It has no schema for three types. The fourth is what Metriport sends when a query failed: without `documents`, which
# the schema demands.
REFUSED = {"devices.health-data", "medical.discharge-summary", "message.received", "medical.document-download.failed"}


@pytest.mark.parametrize("name", samples.names())
def test_metriports_sdk_has_seen_the_sample_as_it_is(name):
    raw = resources.files(samples).joinpath(f"{name}.json").read_bytes()

    assert VERDICTS[name]["sha256"] == hashlib.sha256(raw).hexdigest(), AGAIN


def test_metriports_sdk_accepts_every_sample_that_it_has_a_schema_for():
    assert {name for name, told in VERDICTS.items() if told["verdict"] == "refused"} == REFUSED


def test_metriports_sdk_knows_every_field_of_what_it_accepts():
    assert [name for name, told in VERDICTS.items() if told["dropped"]] == []
