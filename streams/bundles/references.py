"""What a reference means once ids do not: the identity of the resource it points at."""

import re
from collections.abc import Iterable, Mapping

from streams.bundles.manifest import Manifest
from streams.bundles.survey import Row

_REFERENCE = re.compile(rb'"reference"\s*:\s*"([^"\\]+)"')
_BARE = ("urn:uuid:", "urn:id:")


class References:
    """Resolves the references of a bundle to a row's identity or to a known entry's; `rows` are by type and id."""

    def __init__(self, manifest: Manifest, rows: Mapping[object, Row]) -> None:
        self._manifest = manifest
        self._rows = rows
        self._aliases = {(row.type, known): row.identity for row in rows.values() for known in row.aliases}
        self._bare: dict[str, str] | None = None

    def of(self, resources: Iterable[bytes]) -> dict[str, str]:
        """Return what the references in these resources become, for those that become something else."""
        found: dict[str, str] = {}
        for written in set(_REFERENCE.findall(b"".join(resources))):
            reference = written.decode("utf-8", "replace")
            if (target := self._target(reference)) != reference:
                found[reference] = target
        return found

    def _target(self, reference: str) -> str:
        if reference.startswith(_BARE):
            return self._bare_targets().get(reference.rpartition(":")[2], reference)
        resource_type, _, known = reference.partition("/")
        key = (resource_type, known)
        row = self._rows.get(key)
        identity = row.identity if row is not None else self._aliases.get(key)
        if identity is None and (entry := self._manifest.by_id.get(key)) is not None:
            identity = entry.identity
        return f"{resource_type}/{identity}" if identity else reference

    def _bare_targets(self) -> dict[str, str]:
        if self._bare is None:
            self._bare = {
                known: f"{entry.type}/{entry.identity}" for entry in self._manifest for known in reversed(entry.ids)
            }
            self._bare.update({known: f"{kind}/{identity}" for (kind, known), identity in self._aliases.items()})
            self._bare.update({row.id: f"{row.type}/{row.identity}" for row in self._rows.values() if row.id})
        return self._bare
