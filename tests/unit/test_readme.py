"""What the README tells users is what there is."""

import re
from pathlib import Path

import pytest
import typer

from cli.main import app
from ingress.settings import IngressSettings
from models import errors, topics
from streams.bundles.settings import BundlesSettings

ROOT = Path(__file__).parents[2]
FOLDERS = ("models", "ingress", "streams")
README = (ROOT / "README.md").read_text()
SETTINGS = sorted({name.upper() for kind in (IngressSettings, BundlesSettings) for name in kind.model_fields})
COMMANDS = sorted(typer.main.get_command(app).commands)
TOPICS = sorted(
    topic.name for topic in topics.catalogue() if not re.match(r"fhir\.state|quarantine|release", topic.name)
)
GLOSSARY = re.findall(r"^\| ([a-z]+) \| ", README.split("## Glossary")[1].split("##")[0], re.MULTILINE)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_told(name):
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_told(name):
    assert re.search(rf"`(metriport-streams )?{name}\b", README)


@pytest.mark.parametrize("name", [name for name in TOPICS if "changelog" not in name])
def test_every_topic_is_told(name):
    assert f"`{name}`" in README


@pytest.mark.parametrize("refusal", errors.Refused.__subclasses__())
def test_every_refusal_is_told_with_its_status(refusal):
    assert f"| {refusal.status} | `{refusal.reason}` |" in README


@pytest.mark.parametrize("word", [word for word in GLOSSARY if word != "word"])
def test_every_word_of_the_glossary_is_used_in_the_code(word):
    code = "".join(
        path.read_text() for folder in ("models", "ingress", "streams") for path in Path(folder).rglob("*.py")
    )

    assert word in code
