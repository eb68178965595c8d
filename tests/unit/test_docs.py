"""What the README and the pages of docs/ say is what there is."""

import ast
import re
import shlex
from pathlib import Path

import obstore
import pytest
import typer
from obstore.store import MemoryStore

from cli import checkup, reference
from cli.main import app
from cli.reference import metrics, topics
from ingress.settings import IngressSettings
from models import errors, headers, telemetry
from models.settings import load
from models.stages import STAGES
from models.topics import catalogue
from streams.bundles.job import BundlesJob, Options
from streams.deliveries.job import DeliveriesJob
from streams.links.job import LinksJob
from streams.patients.job import PatientsJob

ROOT = Path(__file__).parents[2]
PACKAGES = ("bench", "cli", "ingress", "models", "streams")
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS, *sorted(each for name in PACKAGES for each in (ROOT / name).rglob("README.md"))]
CODE = "\n".join(path.read_text() for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py")))
TEXT = {path: path.read_text() for path in PAGES}
ALL = "\n".join(TEXT.values())

COMMANDS = typer.main.get_command(app)
# What others read: the blob store's library, Kafka; and values.
FOREIGN_SETTINGS = re.compile(r"AWS_|SASL_(SSL|PLAINTEXT)$|(PATIENT|REQUEST)_ID$")


def page(name):
    return TEXT[ROOT / name]


def code_in(text):
    """Return what is set in code within lines; blocks aside."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def shown(path):
    return str(path.relative_to(ROOT))


# --- the README ----------------------------------------------------------------------------------------------------


def test_the_readme_can_be_read_in_some_minutes():
    assert len(page("README.md").encode()) <= 7000


def test_every_promise_of_the_readme_is_explained_with_its_tests():
    told, explained = (re.findall(r"^\| \*\*(.+?)\*\* \|", page(name), re.MULTILINE) for name in PROMISES)

    assert told == explained
    assert len(told) == len(set(told)) == 15


PROMISES = ("README.md", "docs/promises.md")
HELD_BY = re.findall(r"`(tests/[^`:]+)::(test_\w+)`", page("docs/promises.md"))
ROWS = [row for row in page("docs/promises.md").splitlines() if row.startswith("| **")]


@pytest.mark.parametrize("row", ROWS, ids=[row.split("**")[1] for row in ROWS])
def test_a_promise_names_a_test(row):
    assert "::test_" in row


@pytest.mark.parametrize(("path", "test"), HELD_BY, ids=[name for _, name in HELD_BY])
def test_the_test_that_holds_a_promise_is_there(path, test):
    assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_the_key_in_the_readme_is_one_that_doctor_accepts():
    (key,) = re.findall(r"^METRIPORT_WEBHOOK_KEYS=(\S+) make run$", page("README.md"), re.MULTILINE)

    settings = load(IngressSettings, kafka_bootstrap_servers="none:1", metriport_webhook_keys=key)

    assert checkup.keys(settings).well


# --- paths, links, words -------------------------------------------------------------------------------------------

PATHS = sorted(
    {
        (shown(path), name)
        for path, text in TEXT.items()
        for name in code_in(text)
        if re.fullmatch(r"(\.?[a-z_]+/)*[a-z_A-Z.-]+\.(py|toml|yml|md|lock)", name)
        or re.fullmatch(rf"({'|'.join((*PACKAGES, 'tests', 'docs'))})(/[\w.-]+)*/?", name)
    }
)


@pytest.mark.parametrize(("where", "path"), PATHS)
def test_a_path_that_is_named_is_there(where, path):
    folder = (ROOT / where).parent
    # The README of a package names its own files without their folders.
    own = list(folder.rglob(path)) if folder not in {ROOT, ROOT / "docs"} else []

    assert (ROOT / path).exists() or own, f"{where} names {path}"


LINKS = sorted(
    {(shown(path), target) for path, text in TEXT.items() for target in re.findall(r"\]\(([^)\s]+)\)", text)}
)


@pytest.mark.parametrize(("where", "target"), [link for link in LINKS if not link[1].startswith("http")])
def test_a_link_leads_somewhere(where, target):
    path, _, anchor = target.partition("#")
    led_to = (ROOT / where).parent / path if path else ROOT / where

    assert led_to.exists()
    if anchor:
        titles = re.findall(r"^#+ (.+)$", led_to.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_reached_from_the_readme():
    assert {shown(path) for path in DOCS} <= {target for where, target in LINKS if where == "README.md"}


GLOSSARY = re.findall(r"^\| ([a-z]+) \| (.+) \|$", page("docs/glossary.md"), re.MULTILINE)[1:]


@pytest.mark.parametrize("word", [word for word, _ in GLOSSARY])
def test_a_word_of_the_glossary_is_a_word_of_the_code(word):
    assert re.search(rf"\b{word}s?\b", CODE.replace("_", " "), re.IGNORECASE)


def test_the_glossary_has_each_word_once_and_in_order():
    words = [word for word, _ in GLOSSARY]

    assert words == sorted(set(words))


# --- settings, commands, refusals ----------------------------------------------------------------------------------

SETTINGS = set(re.findall(r"[A-Z][A-Z0-9_]+", page("docs/settings.md")))
NAMED_SETTINGS = sorted(
    {
        (shown(path), name)
        for path, text in TEXT.items()
        for name in re.findall(r"(?:^|[`\s(])([A-Z][A-Z0-9]+_[A-Z0-9_]*\*?)(?=[`=*\s)])", text)
    }
)


@pytest.mark.parametrize(("where", "name"), NAMED_SETTINGS)
def test_a_setting_that_is_named_is_there(where, name):
    if FOREIGN_SETTINGS.match(name):
        return
    known = [each for each in SETTINGS if each.startswith(name.rstrip("*")) if name.endswith("*") or each == name]

    assert known, f"{where} names {name}"


def command_lines():
    for path, text in TEXT.items():
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        for line in [*lines, *code_in(text)]:
            if found := re.search(r"metriport-streams ([a-z].*)", line):
                yield shown(path), re.split(r"\)\"|\)$| \||…", found[1])[0].strip()


LINES = sorted(set(command_lines()))


@pytest.mark.parametrize(("where", "line"), LINES)
def test_a_command_that_is_named_is_there_with_its_options(where, line):
    command, words = COMMANDS, shlex.split(line.replace("[", "").replace("]", ""), comments=True)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{where}: {line}"
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}

    assert {word for word in words if word.startswith("--")} <= options, f"{where}: {line}"


@pytest.mark.parametrize("name", sorted(COMMANDS.commands))
def test_every_command_is_told(name):
    assert re.search(rf"`(metriport-streams )?{name}\b", page("docs/commands.md"))


@pytest.mark.parametrize("refusal", errors.Refused.__subclasses__())
def test_every_refusal_is_told_with_its_status(refusal):
    assert f"| {refusal.status} | `{refusal.reason}` |" in page("docs/http.md")


# --- topics and headers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_the_generated_tables_are_up_to_date(path):
    assert reference.rendered(TEXT[path]) == TEXT[path], "run: make docs"


def test_every_table_is_in_a_page():
    assert set(re.findall(r"<!-- generated: ([a-z ]+) -->", ALL)) == set(reference.SECTIONS)


@pytest.mark.parametrize("topic", [topic.name for topic in catalogue() if "changelog" not in topic.name])
def test_a_topic_is_told_with_who_writes_it(topic):
    shown_as = topics.shown(topic)

    assert f"`{shown_as}`" in topics.table_of_topics()
    assert topics.writer(topic) in {"ingress", "commands", *STAGES}


@pytest.mark.parametrize(
    ("stage", "job"),
    [
        ("deliveries", DeliveriesJob("")),
        ("links", LinksJob("", None, None, end=None)),
        ("bundles", BundlesJob(None, None, Options("", ("Patient",), 1, ""))),
        ("patients", PatientsJob("")),
    ],
    ids=["deliveries", "links", "bundles", "patients"],
)
def test_who_writes_a_topic_is_the_stage_whose_output_it_is(stage, job):
    assert {topics.writer(name) for name in (*job.outputs, job.quarantine)} == {stage}


@pytest.mark.parametrize("name", headers.TABLE)
def test_a_header_is_told_with_the_topics_that_have_it(name):
    assert f"| `{name}` |" in topics.table_of_headers()
    assert f"`{name}`" in topics.table_of_carried() or name.startswith("ce_")


# --- metrics -------------------------------------------------------------------------------------------------------

METRICS = {each.name for each in telemetry.DECLARED}


def test_a_metric_that_is_named_is_there():
    named = set(re.findall(r"metriport_[a-z_]+(?=[`{ )\[])", ALL)) - {f"{each}_" for each in METRICS}

    assert named <= METRICS


def test_what_to_worry_about_is_told_of_metrics_that_there_are():
    assert set(metrics.WORRY) <= METRICS


def test_every_metric_of_the_process_is_declared():
    exposed = {family.name for family in telemetry.REGISTRY.collect() if family.name.startswith("metriport_")}

    assert exposed == {name.removesuffix("_total") for name in METRICS}


@pytest.mark.parametrize("metric", telemetry.DECLARED, ids=lambda metric: metric.name)
def test_what_a_metric_says_means_something_alone(metric):
    words = metric.sentence.rstrip(".").split()

    assert metric.sentence.endswith(".")
    assert len(words) > 1
    assert words[-1] not in {"that", "it", "this", "those"}


# --- the reader of current conditions ------------------------------------------------------------------------------


@pytest.fixture
def reader():
    (program,) = re.findall(r"```python\n(.*?)```", page("docs/topics.md"), re.DOTALL)
    names = {"__name__": "conditions"}
    exec(compile(program, "conditions.py", "exec"), names)
    return names


class Record:
    def __init__(self, key, value, content_type):
        self.key, self.value, self.headers = key.encode(), value, [("content-type", content_type.encode())]


def test_the_reader_follows_a_pointer_whose_range_is_half_open(reader):
    blobs = MemoryStore()
    obstore.put(blobs, "sha256/ab/ab", b'[{"id":"1"},{"id":"2"}]')
    record = Record("p/Condition/c", b'{"blob":"sha256/ab/ab","range":"1-11","bytes":10}', reader["POINTER"])

    assert reader["resource"](record, blobs) == {"id": "1"}


def test_the_reader_keeps_the_newest_and_forgets_what_is_gone(reader):
    known = {}
    for value in (b'{"id":"1"}', b'{"id":"2"}'):
        reader["fold"](known, Record("p/1/Condition/c", value, "application/fhir+json"), None)
    assert known == {"p/1": {"c": {"id": "2"}}}

    reader["fold"](known, Record("p/1/Condition/c", None, "application/fhir+json"), None)

    assert known == {"p/1": {}}


def test_the_reader_needs_two_libraries():
    (program,) = re.findall(r"```python\n(.*?)```", page("docs/topics.md"), re.DOTALL)
    imported = {name.name for node in ast.parse(program).body if isinstance(node, ast.Import) for name in node.names}

    assert imported == {"asyncio", "json", "os", "sys", "obstore"}
