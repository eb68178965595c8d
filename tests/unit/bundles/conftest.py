import pytest

from streams.bundles.validation.build import Standards
from tests.unit.bundles.stage import LocalValidator, Stage, validators


@pytest.fixture
def validator():
    return validators().validator(Standards(audit_one_in=7))


@pytest.fixture
def stage(tmp_path):
    return Stage(LocalValidator(), tmp_path)
