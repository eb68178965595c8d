import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from cli.broker import properties
from cli.main import app
from ingress.settings import IngressSettings
from models.settings import CatalogueSettings
from models.stages import STAGES
from streams.links.settings import LinksSettings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = ("topics", "ingress", "worker")
STATE, BLOBS = "/var/lib/metriport-streams", "/var/lib/metriport-blobs"


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_of_ours(name):
    command = get_command(app)
    words = [word for word in SERVICES[name]["command"] if not word.startswith("-")]
    for word in words:
        command = command.commands[word]

    options = {option for parameter in command.params for option in parameter.opts}
    assert command.callback
    assert set(SERVICES[name]["command"]) - set(words) <= options


@pytest.mark.parametrize("name", OURS)
def test_a_service_writes_to_its_one_volume_only_and_the_worker_to_that_of_the_blobs(name):
    service = SERVICES[name]
    volumes = {"topics": [], "ingress": [STATE], "worker": [STATE, BLOBS]}[name]

    assert service["read_only"] is True
    assert [volume.partition(":")[2] for volume in service.get("volumes", [])] == volumes


def test_who_follows_a_pointer_can_mount_the_volume_of_the_blobs():
    url = SERVICES["worker"]["environment"]["BLOB_STORE_URL"]

    assert url == f"${{BLOB_STORE_URL:-file://{BLOBS}}}"
    assert f"-m 0700 {STATE} {BLOBS}\n" in (ROOT / "Dockerfile").read_text()


def test_every_stage_can_be_asked_for_its_metrics_from_outside_of_its_container():
    worker = SERVICES["worker"]
    first, last = map(int, worker["ports"][0].rpartition(":")[2].split("-"))

    assert worker["environment"]["WORKER_HOST"] == "0.0.0.0"
    assert [stage.port(int(worker["environment"]["WORKER_PORT"])) for stage in STAGES.values()] == [
        *range(first, last + 1)
    ]


FIXED = {"INGRESS_HOST", "INGRESS_PORT", "WORKER_HOST", "WORKER_PORT", "METRIPORT_WEBHOOK_KEYS"}


@pytest.mark.parametrize("name", OURS)
def test_an_env_file_can_change_what_compose_sets_but_the_ports_within_and_who_gets_the_key(name):
    given = SERVICES[name]["environment"]

    assert {setting for setting, value in given.items() if value != f"${{{setting}:-{_default(value)}}}"} <= FIXED


def _default(value):
    return value.partition(":-")[2].removesuffix("}")


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_given_nothing_but_settings_there_are(name):
    known = {
        field.upper() for kind in (CatalogueSettings, IngressSettings, LinksSettings) for field in kind.model_fields
    }

    assert set(SERVICES[name]["environment"]) <= known


@pytest.mark.parametrize("name", [*SERVICES])
def test_ports_are_open_on_the_loopback_address_only(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "topics"])
def test_a_service_that_stays_says_whether_it_is_well(name):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_compose_needs_no_env_file_and_no_variable():
    variables = re.findall(r"\$\{[^}]*\}", (ROOT / "docker-compose.yml").read_text())

    assert [name for name in variables if ":-" not in name] == []
    assert SERVICES["ingress"]["env_file"] == [{"path": ".env", "required": False}]


def test_the_broker_of_compose_is_the_broker_of_everybody_else():
    kafka = SERVICES["kafka"]
    ours = properties.properties("/var/lib/kafka/data", port=1, controller_port=2)
    # The form in which the image reads them: https://hub.docker.com/r/apache/kafka
    settings = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in ours.items()}
    same = {name for name in settings if name in kafka["environment"]} - {
        "KAFKA_LISTENERS",
        "KAFKA_ADVERTISED_LISTENERS",
        "KAFKA_CONTROLLER_QUORUM_VOTERS",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
        "KAFKA_INTER_BROKER_LISTENER_NAME",
    }

    assert kafka["image"].partition("@")[0] == f"apache/kafka:{properties.VERSION}"
    assert {name: kafka["environment"][name] for name in same} == {name: settings[name] for name in same}


IMAGES = [*re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE), SERVICES["kafka"]["image"]]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_pinned_to_a_version_and_to_its_content(image):
    assert re.search(r":\d+\.\d+\.\d+(-[a-z-]+)?@sha256:[0-9a-f]{64}$", image)


@pytest.mark.parametrize("name", OURS)
def test_only_the_ingress_is_given_the_webhook_key(name):
    given = SERVICES[name]["environment"]["METRIPORT_WEBHOOK_KEYS"]

    # Empty, and not left out: a `.env` would set it for all of them.
    assert bool(given) is (name == "ingress")


@pytest.mark.parametrize("name", [*SERVICES])
def test_a_service_leaves_no_memory_on_the_disk(name):
    assert SERVICES[name]["ulimits"] == {"core": 0}


def test_the_container_is_not_root():
    assert re.search(r"^USER 10001$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
