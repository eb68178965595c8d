"""Read a patient's manifest from the state, in the format of this version or of the one before.

What version 1 kept is read as it is and written whole, in the new format, with the patient's next snapshot.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec

from streams.bundles.snapshot.manifest import FORMAT, Absence, Entry, Head, Manifest, Scope, head_key, shard_keys

Get = Callable[[list[bytes]], Iterable[bytes | None]]


def read(patient: str, get: Get) -> Manifest:
    """Return a patient's manifest, kept under the keys that `get` is asked for; an empty one if there is none."""
    (kept,) = get([head_key(patient)])
    if not kept:
        return Manifest(patient, Head(), ())
    written = _FORMAT.decode(kept).format
    if written == 1:
        return _of_version_1(patient, _HEAD_1.decode(kept), get)
    if written != FORMAT:
        raise RuntimeError(f"the state has manifests of format {written}, this version reads {FORMAT}")
    head = _HEAD.decode(kept)
    shards = get(shard_keys(patient, head))
    return Manifest(patient, head, (entry for value in shards if value for entry in _SHARD.decode(value)))


class _Written(msgspec.Struct, array_like=True):
    format: int


class _Scope1(msgspec.Struct, array_like=True):
    name: str
    when_ms: int = 0
    complete_when_ms: int = 0
    sha256: str = ""
    accepted: int = 0
    rejected: int = 0
    by_type: dict[str, int] = msgspec.field(default_factory=dict)


class _Head1(msgspec.Struct, array_like=True):
    format: int
    slots: list[int]
    validator: str
    scopes: list[_Scope1]


class _Entry1(msgspec.Struct, array_like=True):
    type: str
    identity: str
    ids: tuple[str, ...]
    raw: bytes
    content: bytes = b""
    known_by: bytes = b""
    version: int = 0
    when_ms: int = 0
    scopes: tuple[int, ...] = ()
    missing: int = 0
    missing_since_ms: int = 0
    missing_when_ms: int = 0
    rejected: bytes = b""


_FORMAT = msgspec.msgpack.Decoder(_Written)
_HEAD = msgspec.msgpack.Decoder(Head)
_SHARD = msgspec.msgpack.Decoder(list[Entry])
_HEAD_1 = msgspec.msgpack.Decoder(_Head1)
_SHARD_1 = msgspec.msgpack.Decoder(list[_Entry1])


def _of_version_1(patient: str, kept: _Head1, get: Get) -> Manifest:
    head = Head(slots=kept.slots, validator=kept.validator, scopes=[_scope(scope) for scope in kept.scopes])
    shards = get(shard_keys(patient, head))
    found = Manifest(patient, head, _entries(head, shards))
    found.write_all()
    head.state = dict(Counter(entry.type for entry in found if entry.published))
    return found


def _scope(kept: _Scope1) -> Scope:
    if kept.when_ms != kept.complete_when_ms:
        # The newest was a partial one, which says nothing of all there is.
        return Scope(kept.name, kept.complete_when_ms)
    return Scope(
        kept.name, kept.when_ms, kept.sha256, kept.accepted, kept.rejected, kept.by_type, absence_sha256=kept.sha256
    )


def _entries(head: Head, shards: Iterable[bytes | None]) -> Iterator[Entry]:
    consolidated = next((number for number, scope in enumerate(head.scopes) if scope.name == "consolidated"), 0)
    for value in shards:
        for kept in _SHARD_1.decode(value) if value else ():
            absences: tuple[Absence, ...] = ()
            if kept.missing:
                absences = (Absence(consolidated, kept.missing, kept.missing_since_ms, kept.missing_when_ms),)
            yield Entry(
                kept.type,
                kept.identity,
                kept.ids,
                kept.raw,
                kept.content,
                version=kept.version,
                when_ms=kept.when_ms,
                scopes=kept.scopes,
                absences=absences,
                rejected=kept.rejected,
                # One that came back refused counted as published, and was not: no bytes are known of it.
                published=bool(kept.version and kept.scopes and kept.raw),
            )
