"""Each stage is declared once, with what there is of it in the code."""

from pkgutil import resolve_name

import pytest

from models.stages import STAGES
from streams.settings import StageSettings


@pytest.mark.parametrize("stage", STAGES.values(), ids=[*STAGES])
def test_what_a_stage_names_is_there(stage):
    assert callable(resolve_name(stage.build))
    assert issubclass(resolve_name(stage.settings), StageSettings)


def test_the_ports_that_monitoring_knows_stay_as_they_are():
    ports = {name: stage.port(8081) for name, stage in STAGES.items()}

    assert ports == {"deliveries": 8081, "links": 8082, "bundles": 8083, "patients": 8084}


def test_without_a_port_no_stage_has_one():
    assert {stage.port(0) for stage in STAGES.values()} == {0}


def test_no_two_stages_have_one_port():
    assert len({stage.port_offset for stage in STAGES.values()}) == len(STAGES)


@pytest.mark.parametrize(
    ("given", "alone", "port"),
    [({}, False, 8083), ({}, True, 8083), ({"worker_port": 9000}, False, 9002), ({"worker_port": 9000}, True, 9000)],
    ids=["beside others", "alone", "beside others, set", "alone, set"],
)
def test_a_stage_on_its_own_answers_on_the_port_that_was_set_for_it(given, alone, port):
    settings = StageSettings(_env_file=None, kafka_bootstrap_servers="kafka:9092", **given)

    assert settings.port("bundles", alone=alone) == port
