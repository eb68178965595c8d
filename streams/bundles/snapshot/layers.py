"""Order resources so that what they refer to is matched first: next come those whose targets all are."""

from collections import defaultdict

from streams.bundles.snapshot.references import Resolver
from streams.bundles.snapshot.resources import Resource


class Layers:
    """Hands out resources, what is referred to first; call `matched` with those that have an identity now."""

    def __init__(self, resources: list[Resource], resolver: Resolver) -> None:
        self._resources = {id(resource): resource for resource in resources}
        self._awaited: dict[int, int] = dict.fromkeys(self._resources, 0)
        self._awaiting: defaultdict[int, list[int]] = defaultdict(list)
        for number, resource in self._resources.items():
            for target in {id(target) for target in resolver.targets(resource)} & self._resources.keys():
                self._awaiting[target].append(number)
                self._awaited[number] += 1
        self._ready = [number for number, awaited in self._awaited.items() if not awaited]

    @property
    def waiting(self) -> list[Resource]:
        """The resources without an identity."""
        return list(self._resources.values())

    @property
    def is_stuck(self) -> bool:
        """Whether there are resources left and all wait for each other."""
        return bool(self._resources) and not self._ready

    def ready(self) -> list[Resource]:
        """Return the next resources; if all wait for each other, all of them."""
        numbers = self._ready or list(self._resources)
        return [self._resources[number] for number in numbers]

    def matched(self, resources: list[Resource]) -> None:
        """Note that these resources have an identity."""
        for resource in resources:
            del self._resources[id(resource)]
        for resource in resources:
            for number in self._awaiting.pop(id(resource), ()):
                self._awaited[number] -= 1
                if not self._awaited[number]:
                    self._ready.append(number)
        self._ready = [number for number in self._ready if number in self._resources]
