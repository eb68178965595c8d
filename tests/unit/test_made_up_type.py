"""A new type of message is one entry of the table and two models; everything else follows."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TYPE = Path(__file__).with_name("made_up") / "imaging.py"


def test_a_made_up_type_is_published_its_link_fetched_and_its_patient_known():
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.made_up.imaging"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    told = json.loads(run.stdout.splitlines()[-1])
    [published], [bundle] = told.pop("patient.imaging"), told.pop("bundles")
    assert (published["patientId"], published["modality"]) == ("p-1", "MR")
    assert (bundle["type"], bundle["outcome"], bundle["kind"]) == ("patient.imaging", "stored", "notification")
    assert told.pop("patients")[-1]["bundles"]["stored"] == 1
    assert told == {"is in the catalogue": True, "has a schema": True, "is read by patients": True}


def test_it_takes_fewer_than_forty_lines():
    assert len(TYPE.read_text().splitlines()) < 40
