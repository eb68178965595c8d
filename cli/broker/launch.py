"""What a source of Kafka hands over: a command that becomes a broker."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A command that becomes a broker on 127.0.0.1, at `port`, or at the one it writes into `port_file` by itself."""

    command: list[str]
    port: int | None = None
    port_file: Path | None = None


class Source(Protocol):
    """One way to get a Kafka on this machine."""

    name: str

    def available(self) -> bool:
        """Say whether this machine has what it takes."""

    def prepare(self, data_dir: Path, port: int | None, log: Path, say: Callable[[str], None]) -> Launch:
        """Do what must be done before the first start and return the command."""
