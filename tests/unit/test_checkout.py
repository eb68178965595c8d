import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def help_lines():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "target", ["env", "demo", "run", "test", "lint", "types", "imports", "format", "schemas", "bench", "clean"]
)
def test_make_says_what_it_can_do(help_lines, target):
    assert any(line.split()[1] == target and len(line.split()) > 3 for line in help_lines)


def test_the_machine_that_checks_a_change_runs_what_a_person_runs():
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\nmake test")


def test_the_licence_is_the_one_the_package_names():
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()
