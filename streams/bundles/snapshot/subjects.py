"""Find out whom a resource is about, and say what is wrong with one that is about somebody else. Pure.

Which element says so goes by type (`models.fhir_types`).
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Final, NamedTuple

import msgspec

from models.fhir_types import SUBJECTS
from streams.bundles.validation.issues import Issue, operation_outcome

OTHER_PATIENT: Final = "other_patient"
VERSION = "1"  # part of the validator's id: a change has everything looked at again once

_PERSON = "Patient"
_BARE = ("urn:uuid:", "urn:id:", "urn:oid:")


class About(NamedTuple):
    """The ids of the patients that a resource refers to as its subject, and references that do not say their type."""

    patients: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()


NOBODY = About()


class _Reference(msgspec.Struct, gc=False):
    reference: str = ""


_QUICK = msgspec.json.Decoder(_Reference)
_ANY = msgspec.json.Decoder()


def about(subject: bytes) -> About:
    """Return whom a resource is about, by its `subject` (`facts.Facts`); nobody if it does not say. Never raises."""
    if not subject:
        return NOBODY
    try:
        return _of([_QUICK.decode(subject).reference])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _of(_slowly(subject))


def _slowly(subject: bytes) -> Iterator[str]:
    """Yield the references of an element that is a list, or is not what it should be."""
    try:
        value = _ANY.decode(subject)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and isinstance(reference := one.get("reference"), str):
            yield reference


def _of(references: Iterable[str]) -> About:
    patients, bare = set(), set()
    for reference in references:
        if reference.startswith(_BARE):
            bare.add(reference.rpartition(":")[2])
            continue
        # `Patient/1`, `https://…/Patient/1`, `Patient/1/_history/2`
        parts = reference.split("/")
        if _PERSON in parts[:-1]:
            # All that follows: an id with a slash is none of FHIR's, but it is whole here or it is somebody else's.
            named = "/".join(parts[parts.index(_PERSON) + 1 :])
            patients.add(named.partition("/_history/")[0])
    return About(frozenset(patients), frozenset(bare)) if patients or bare else NOBODY


class Subjects:
    """Tells who is who in one bundle: our patient, other patients, and what is no patient at all."""

    def __init__(self, patient: str, others: Callable[[], frozenset[str]]) -> None:
        self._patient = patient
        self._others = others

    @cached_property
    def _no_patients(self) -> frozenset[str]:
        """The ids of all that is no patient: asked for only if a reference does not say its type."""
        return self._others()

    def strangers(self, found: About) -> frozenset[str]:
        """Return the ids of the other patients that a resource is about; one that leads nowhere may be one."""
        if found is NOBODY:
            return frozenset()
        bare = found.bare - self._no_patients if found.bare else found.bare
        return (found.patients | bare) - {self._patient}

    def is_ours(self, found: About) -> bool:
        """Whether a resource says that it is about our patient."""
        return self._patient in found.patients or self._patient in found.bare


def refusal(resource_type: str) -> bytes:
    """Return the OperationOutcome of a resource that is about somebody else."""
    name = SUBJECTS.get(resource_type)
    where = f"{resource_type}.{name}" if name else resource_type
    text = "This is about another patient than the one whose bundle it is in."
    return operation_outcome([Issue("error", "security", OTHER_PATIENT, where, text)])
