"""Apache Kafka's own jars: each named with its sha256 in `jars.sha256`, fetched once into the user's cache folder."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import stamina

from cli.broker.errors import FetchFailed
from cli.broker.properties import VERSION

LIST = Path(__file__).with_name("jars.sha256")
FETCHED_AT_ONCE = 8
READ_TIMEOUT_S = 30  # the longest pause of one download
TRIES = 3


class Jar(NamedTuple):
    """One line of the list: what its bytes hash to, and its Maven coordinate `group:artifact:version`."""

    sha256: str
    coordinate: str


def listed() -> list[Jar]:
    """Return the jars of the list: Kafka, all it needs, and a printer for its log lines."""
    return [Jar(*line.split()) for line in LIST.read_text().splitlines()]


def cache_folder() -> Path:
    """Return where the jars are kept, in $XDG_CACHE_HOME, else ~/.cache: a folder for each list."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "metriport-streams" / f"kafka-{VERSION}-{hashlib.sha256(LIST.read_bytes()).hexdigest()[:12]}"


def fetched(say: Callable[[str], None]) -> Path:
    """Return the folder with the jars, fetched the first time; several runs may ask at once.

    Raises `FetchFailed`.
    """
    folder = cache_folder()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            say(f"Fetching Apache Kafka {VERSION}, once ({len(listed())} jars, 44 MB, into {folder}) ...")
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as work:
                jars = Path(work) / "jars"
                jars.mkdir()
                _fetch(listed(), Path(work) / "repository", jars)
                # Renamed when complete: a run that is killed while fetching leaves no half-filled folder.
                jars.rename(folder)
    return folder


def _fetch(jars: list[Jar], repository: Path, into: Path) -> None:
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415 - of the extra `embedded`
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError:
        raise FetchFailed(
            "Apache Kafka's jars are not here yet, and what fetches them is not installed. Install this package with "
            "its extra `embedded`, or point KAFKA_BOOTSTRAP_SERVERS at a Kafka that runs."
        ) from None
    # A repository of your own (a mirror) is named in jgo's own file, ~/.config/jgo.conf, section [repositories].
    remotes = GlobalSettings.load().repositories or None
    maven = MavenContext(repo_cache=repository, remote_repos=remotes, timeout=READ_TIMEOUT_S)

    def fetch(jar: Jar) -> None:
        group, artifact, version = jar.coordinate.split(":")
        wanted = maven.project(group, artifact).at_version(version).artifact()
        for attempt in stamina.retry_context(on=OSError, attempts=TRIES):
            with attempt:
                # What an attempt that broke off has left would pass for the whole.
                (repository / wanted.component.path_prefix / wanted.filename).unlink(missing_ok=True)
                found = wanted.resolve()
        with found.open("rb") as jar_bytes:
            if hashlib.file_digest(jar_bytes, "sha256").hexdigest() != jar.sha256:
                raise FetchFailed(
                    f"What came for {jar.coordinate} is not what {LIST.name} says it must be, so it is not used. "
                    "Look at the mirror or proxy that it came from."
                )
        found.rename(into / found.name)

    with ThreadPoolExecutor(FETCHED_AT_ONCE) as threads:
        try:
            list(threads.map(fetch, jars))
        except (OSError, RuntimeError) as problem:
            threads.shutdown(cancel_futures=True)
            raise FetchFailed(
                f"Apache Kafka's jars could not be fetched: {problem}\n"
                "Look at the network, or set HTTPS_PROXY; or point KAFKA_BOOTSTRAP_SERVERS at a Kafka that runs."
            ) from None
