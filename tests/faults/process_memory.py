"""Whether the memory of running processes levels off: sampled from outside, judged by the slope of its second half."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MB = 10**6
LEVEL_MB_PER_HOUR = 5.0  # what a year of running would still have room for, given the noise of two hours
_SAMPLES_LEAST = 8


@dataclass(frozen=True)
class Memory:
    """Of one process at one moment: resident, and what of it is its own."""

    rss_bytes: int
    uss_bytes: int


@dataclass(frozen=True)
class Trend:
    """How the second half of a run went."""

    mb_per_hour: float
    noise_mb_per_hour: float  # one standard error of the slope
    first_mb: float
    middle_mb: float
    last_mb: float
    most_mb: float

    @property
    def level(self) -> bool:
        """Whether it surely does not grow faster than what counts as level."""
        return self.mb_per_hour + 2 * self.noise_mb_per_hour <= LEVEL_MB_PER_HOUR


def of(pid: int) -> Memory | None:
    """Return a process's memory, None if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (OSError, IndexError):
        return None
    sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    return Memory(sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"]) if sizes else None


def roles(parents: Mapping[str, int]) -> dict[str, int]:
    """Return each of these processes and all their descendants by what they do; a number tells equal ones apart."""
    found = dict(parents)
    children = _children()
    waiting = list(parents.values())
    while waiting:
        for pid in sorted(children.get(waiting.pop(0), ())):
            role = _role(pid)
            alike = sum(name == role or name.startswith(f"{role} ") for name in found)
            found[f"{role} {alike + 1}" if alike else role] = pid
            waiting.append(pid)
    return found


def trend(samples: Sequence[tuple[float, float]]) -> Trend | None:
    """Return how the second half of `samples`, pairs of hours and MB, goes; None if they are too few."""
    half = [sample for sample in samples if sample[0] >= (samples[0][0] + samples[-1][0]) / 2] if samples else []
    if len(half) < _SAMPLES_LEAST:
        return None
    slope, error = _slope(half)
    values = [value for _, value in samples]
    return Trend(slope, error, values[0], half[0][1], values[-1], max(values))


def _slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope of the line of least squares, and its standard error."""
    count = len(points)
    x_mean, y_mean = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
    rest = sum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in points)
    return slope, (rest / (count - 2) / spread) ** 0.5


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    return children


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # gone meanwhile
            yield int(folder.name), int(after_name[1])


def _role(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    line = " ".join(words)
    if "streams.stage" in words:
        return words[words.index("streams.stage") + 1]
    for part, role in (("forkserver", "fhir"), ("resource_tracker", "tracker"), ("kafka.Kafka", "kafka")):
        if part in line:
            return role
    return words[-2] if len(words) > 1 else "other"
