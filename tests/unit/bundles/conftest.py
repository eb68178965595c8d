import pytest

from streams.bundles.validation.build import Standards
from tests.unit.bundles.stage import LocalExaminer, Stage, judges


@pytest.fixture
def checker():
    return judges().checker(Standards(audit_one_in=7))


@pytest.fixture
def stage(tmp_path):
    return Stage(LocalExaminer(), tmp_path)
