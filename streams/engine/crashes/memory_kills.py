"""Reads how often the system has killed a process of our control group for its memory (cgroup v2)."""

from pathlib import Path
from typing import NamedTuple

_OWN = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


class Kills(NamedTuple):
    """How many processes of which control group were killed; no group where the system does not say."""

    number: int
    group: str

    def since(self, before: str) -> bool:
        """Return whether there were more kills since `before`, which is `"<number> <group>"` of an earlier count."""
        number, _, group = before.partition(" ")
        return bool(self.group) and group == self.group and number.isdecimal() and self.number > int(number)


def read() -> Kills:
    """Return the count as it is now. https://docs.kernel.org/admin-guide/cgroup-v2.html, `memory.events`."""
    try:
        lines = _OWN.read_text().splitlines()
        group = next(line.removeprefix("0::") for line in lines if line.startswith("0::"))
        events = (_ROOT / group.lstrip("/") / "memory.events").read_text()
        number = next(int(line.split()[1]) for line in events.splitlines() if line.startswith("oom_kill "))
    except (OSError, StopIteration, ValueError):
        return Kills(0, "")
    return Kills(number, group)
