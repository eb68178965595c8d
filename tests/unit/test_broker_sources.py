import subprocess

import pytest

from cli.broker import docker, mock, properties, sources
from cli.broker.errors import PortTaken


@pytest.fixture
def lines():
    return []


def test_apaches_own_jars_come_before_docker_and_docker_before_the_mock():
    assert [source.name for source in sources.sources()] == [
        "Apache Kafka",
        "Apache Kafka in Docker",
        "librdkafka's mock",
    ]


def test_a_container_is_published_on_the_loopback_address_only(tmp_path, monkeypatch, lines):
    monkeypatch.setattr(docker, "_docker", lambda *_arguments, timeout_s: None)  # noqa: ARG005

    command = docker.Docker().prepare(tmp_path, 9092, tmp_path / "log", lines.append).command

    assert command[command.index("--publish") + 1] == "127.0.0.1:9092:9092"
    assert command[-1] == f"apache/kafka:{properties.VERSION}"
    assert "KAFKA_AUTO_CREATE_TOPICS_ENABLE=false" in command


def test_a_container_that_a_killed_run_left_is_said(tmp_path, monkeypatch, lines):
    done = subprocess.CompletedProcess([], 0, stdout=b"metriport-streams-1\n")
    monkeypatch.setattr(docker, "_docker", lambda *_arguments, timeout_s: done)  # noqa: ARG005

    docker.Docker().prepare(tmp_path, None, tmp_path / "log", lines.append)

    assert lines == ["Removed the container that a killed run left behind."]


def test_the_mock_says_that_it_is_for_trying_out_only(tmp_path, lines):
    mock.Mock().prepare(tmp_path, None, tmp_path / "log", lines.append)

    assert "for trying out only" in lines[0]


def test_the_mock_refuses_a_port_it_cannot_have(tmp_path, lines):
    with pytest.raises(PortTaken, match="chooses its own port"):
        mock.Mock().prepare(tmp_path, 9092, tmp_path / "log", lines.append)


def test_a_record_of_forty_mebibytes_passes_and_topics_do_not_make_themselves():
    settings = properties.properties("/data", port=1, controller_port=2)

    assert settings["message.max.bytes"] == settings["replica.fetch.max.bytes"] == str(40 * 1024 * 1024)
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
