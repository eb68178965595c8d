"""Apache Kafka itself on this machine: its storage formatted, and the command line that runs it."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cli.broker import jars, java, ports
from cli.broker.errors import StartFailed
from cli.broker.properties import as_file, properties

FORMAT_TIMEOUT_S = 120


class Launch(NamedTuple):
    """A command that becomes a broker on 127.0.0.1 at `port`."""

    command: list[str]
    port: int


def prepare(data_dir: Path, port: int | None, log: Path, say: Callable[[str], None]) -> Launch:
    """Fetch the jars and format the storage, each once, and return Kafka's command line."""
    run = _java_command(java.find(), jars.fetched(say))
    configuration, log_dir = data_dir / "server.properties", data_dir / "logs"
    own_port, controller_port = ports.free(2)
    port = port or own_port
    configuration.write_text(as_file(properties(str(log_dir), port=port, controller_port=controller_port)))
    if not (log_dir / "meta.properties").exists():
        _format_storage(run, configuration, log)
    return Launch(command=[*run, "kafka.Kafka", str(configuration)], port=port)


def _java_command(java_path: Path, jar_folder: Path) -> list[str]:
    return [
        str(java_path),
        "-Xms128m",
        "-Xmx512m",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
        "-cp",
        f"{jar_folder}/*",
    ]


def _format_storage(run: list[str], configuration: Path, log: Path) -> None:
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # One word each, joined by "=": an id may begin with a dash.
    arguments = ["format", f"--cluster-id={cluster_id}", f"--config={configuration}", "--ignore-formatted"]
    with log.open("ab") as said:
        done = subprocess.run(  # noqa: S603 - the command is ours
            [*run, "kafka.tools.StorageTool", *arguments],
            stdout=said,
            stderr=said,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        raise StartFailed(f"Kafka's storage could not be formatted; see {log}.")
