"""Which resources can be recognised next: those all of whose targets are."""

from collections import defaultdict

from streams.bundles.snapshot.references import Resolver
from streams.bundles.snapshot.scan import Row


class Layers:
    """Hands out rows, what is referred to first; `settled` is told when some have an identity."""

    def __init__(self, rows: list[Row], resolver: Resolver) -> None:
        self._rows = {id(row): row for row in rows}
        self._awaited: dict[int, int] = dict.fromkeys(self._rows, 0)
        self._awaiting: defaultdict[int, list[int]] = defaultdict(list)
        for number, row in self._rows.items():
            for target in {id(target) for target in resolver.targets(row)} & self._rows.keys():
                self._awaiting[target].append(number)
                self._awaited[number] += 1
        self._ready = [number for number, awaited in self._awaited.items() if not awaited]

    @property
    def waiting(self) -> list[Row]:
        """The rows without an identity."""
        return list(self._rows.values())

    @property
    def is_stuck(self) -> bool:
        """Whether there are rows left and all wait for each other."""
        return bool(self._rows) and not self._ready

    def ready(self) -> list[Row]:
        """Return the next rows; if all wait for each other, all of them."""
        numbers = self._ready or list(self._rows)
        return [self._rows[number] for number in numbers]

    def settled(self, rows: list[Row]) -> None:
        """Note that these rows have an identity."""
        for row in rows:
            del self._rows[id(row)]
        for row in rows:
            for number in self._awaiting.pop(id(row), ()):
                self._awaited[number] -= 1
                if not self._awaited[number]:
                    self._ready.append(number)
        self._ready = [number for number in self._ready if number in self._rows]
