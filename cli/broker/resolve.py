"""Make the list of jars anew, for another version: `python -m cli.broker.resolve > cli/broker/jars.sha256`."""

import hashlib
import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

from cli.broker.properties import VERSION

# Kafka names an API for its log lines and leaves the printer to us; without one the log stays empty.
WANTED = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")


def main() -> None:
    """Resolve what Kafka needs and print a line for each jar, in order."""
    with tempfile.TemporaryDirectory() as folder:
        maven = MavenContext(repo_cache=Path(folder))
        given, needed = maven.resolver.resolve([maven.create_dependency(each) for each in WANTED])
        lines = [
            f"{hashlib.sha256(each.artifact.resolve().read_bytes()).hexdigest()}  "
            f"{each.groupId}:{each.artifactId}:{each.version}\n"
            for each in (*given, *needed)
        ]
    sys.stdout.writelines(sorted(lines, key=lambda line: line.split()[1]))


if __name__ == "__main__":
    main()
