"""Apache Kafka's own jars, fetched once through Maven into the user's cache folder, and the commands that run them."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

from cli.broker import ports
from cli.broker.errors import FetchFailed, NoSource, StartFailed
from cli.broker.launch import Launch
from cli.broker.properties import VERSION, as_file, properties

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
FETCH_TIMEOUT_S = 900
FORMAT_TIMEOUT_S = 120
# Kafka names an API for its log lines and leaves the printer to us; without one the log stays empty.
PROJECT = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.metriport.streams</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


def cache_folder() -> Path:
    """Return where the jars are kept: $XDG_CACHE_HOME, else ~/.cache, and our own name in it."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "metriport-streams" / f"kafka-{VERSION}"


def java() -> str | None:
    """Return the Java to use, or None: JAVA_HOME first, as everywhere."""
    home = os.environ.get("JAVA_HOME")
    at_home = Path(home) / "bin" / "java" if home else None
    return str(at_home) if at_home and at_home.is_file() else shutil.which("java")


def fetched(say: Callable[[str], None]) -> Path:
    """Return the folder with the jars, fetched the first time; several runs may ask at once."""
    folder = cache_folder()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            say(f"Fetching Apache Kafka {VERSION} through Maven, once (44 MB, into {folder}) ...")
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise NoSource("Apache Kafka's jars are not in the cache and Maven (mvn) is not installed to fetch them.")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as name:
        work = Path(name)
        (work / "pom.xml").write_text(PROJECT)
        jars = work / "jars"
        # -C: a jar whose checksum differs is an error, not a warning.
        command = [mvn, "-q", "-B", "-C", "-f", str(work / "pom.xml"), f"{PLUGIN}:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        try:
            done = subprocess.run(  # noqa: S603 - the command is ours
                command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise FetchFailed(f"Maven did not finish within {FETCH_TIMEOUT_S} s. Try again.") from None
        if done.returncode or not jars.is_dir():
            lines = (done.stdout + done.stderr).strip().splitlines()[:5]
            raise FetchFailed("Maven could not fetch Apache Kafka:\n" + "\n".join(lines))
        # Renamed when complete: a run that is killed while fetching leaves no half-filled folder.
        jars.rename(folder)


def command(jars: Path, main_class: str, *arguments: str) -> list[str]:
    """Return the command line that runs one of Kafka's main classes."""
    return [
        java() or "java",
        "-Xms128m",
        "-Xmx512m",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
        "-cp",
        f"{jars}/*",
        main_class,
        *arguments,
    ]


class Jars:
    """Apache Kafka itself, run by the machine's Java."""

    name = "Apache Kafka"

    def available(self) -> bool:
        """Say whether there is a Java, and the jars or a Maven to fetch them."""
        return java() is not None and (cache_folder().is_dir() or shutil.which("mvn") is not None)

    def prepare(self, data_dir: Path, port: int | None, log: Path, say: Callable[[str], None]) -> Launch:
        """Fetch the jars and format the storage, each once, and return Kafka's command line."""
        jars = fetched(say)
        configuration, log_dir = data_dir / "server.properties", data_dir / "logs"
        own_port, controller_port = ports.free(2)
        port = port or own_port
        configuration.write_text(as_file(properties(str(log_dir), port=port, controller_port=controller_port)))
        if not (log_dir / "meta.properties").exists():
            _format_storage(jars, configuration, log)
        return Launch(command=command(jars, "kafka.Kafka", str(configuration)), port=port)


def _format_storage(jars: Path, configuration: Path, log: Path) -> None:
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # One word each, joined by "=": an id may begin with a dash.
    arguments = ["format", f"--cluster-id={cluster_id}", f"--config={configuration}", "--ignore-formatted"]
    with log.open("ab") as said:
        done = subprocess.run(  # noqa: S603 - the command is ours
            command(jars, "kafka.tools.StorageTool", *arguments),
            stdout=said,
            stderr=said,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        raise StartFailed(f"Kafka's storage could not be formatted; see {log}.")
