import pytest

from streams.bundles.judges import Standards
from streams.bundles.judges import judges as build_judges
from tests.unit.bundles.stage import LocalExaminer, Stage


@pytest.fixture(scope="session")
def judges():
    return build_judges()


@pytest.fixture
def checker(judges):
    return judges.checker(Standards(audit_one_in=7))


@pytest.fixture
def stage(judges, tmp_path):
    return Stage(LocalExaminer(judges), tmp_path)
