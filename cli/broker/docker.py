"""Apache Kafka's own image, run by the machine's Docker."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from cli.broker import ports
from cli.broker.launch import Launch
from cli.broker.properties import VERSION, as_environment, properties

IMAGE = f"apache/kafka:{VERSION}"
LOG_DIR = "/var/lib/kafka/data"  # the image's own volume, writable for its user
CLUSTER_ID = "bWV0cmlwb3J0LXN0cmVhbQ"
ENGINE_TIMEOUT_S = 15
REMOVE_TIMEOUT_S = 60


def _docker(*arguments: str, timeout_s: float) -> subprocess.CompletedProcess[bytes] | None:
    docker = shutil.which("docker")
    if docker is None:
        return None
    try:
        return subprocess.run(  # noqa: S603 - the command is ours
            [docker, *arguments], capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return None


class Docker:
    """Apache Kafka in a container; its data is in a volume named after the data folder."""

    name = "Apache Kafka in Docker"

    def available(self) -> bool:
        """Say whether there is a Docker client whose engine answers."""
        answer = _docker("info", timeout_s=ENGINE_TIMEOUT_S)
        return answer is not None and answer.returncode == 0

    def prepare(self, data_dir: Path, port: int | None, log: Path, say: Callable[[str], None]) -> Launch:  # noqa: ARG002 - the container logs by itself
        """Remove the container of a killed run, if any, and return the command that runs a new one."""
        name = f"metriport-streams-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]}"
        removed = _docker("rm", "--force", name, timeout_s=REMOVE_TIMEOUT_S)
        if removed is not None and removed.stdout.strip() and not removed.returncode:
            say("Removed the container that a killed run left behind.")
        own_port, controller_port = ports.free(2)
        port = port or own_port
        settings = properties(LOG_DIR, port=port, controller_port=controller_port, bind="0.0.0.0")  # noqa: S104 - inside the container; published on the loopback address only
        environment = as_environment(settings) | {"CLUSTER_ID": CLUSTER_ID, "KAFKA_HEAP_OPTS": "-Xms128m -Xmx512m"}
        return Launch(command=_run(name, port, environment), port=port)


def _run(name: str, port: int, environment: dict[str, str]) -> list[str]:
    # In the foreground: the client lives as long as the container and hands a request to end on to it.
    command = ["docker", "run", "--rm", "--name", name, "--volume", f"{name}:{LOG_DIR}"]
    command += ["--publish", f"{ports.LOOPBACK}:{port}:{port}"]
    for variable, value in environment.items():
        command += ["--env", f"{variable}={value}"]
    return [*command, IMAGE]
