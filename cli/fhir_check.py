"""Validate files as the bundles stage does: bundles, single resources, or resources line by line (NDJSON)."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import orjson

from models.errors import Poison
from streams.bundles.bundle.file import bundle_file
from streams.bundles.resource.facts import UNKNOWN_TYPE, facts
from streams.bundles.validation.build import Validators
from streams.bundles.validation.validator import Validator

SUFFIXES = (".json", ".ndjson", ".jsonl")
_LINES = (".ndjson", ".jsonl")
_UNCHECKED = (
    "Kept and published as it is: FHIR 4.0.1 has this type, later versions dropped or changed it, and the library that "
    "judges resources has no description of it."
)
_UNREADABLE = {
    "not_json": "This is not JSON.",
    "not_a_bundle": "This is neither a bundle nor a resource.",
    "truncated": "The file ends in the middle.",
    "empty": "The file is empty.",
    "too_large": "An entry is too large to be looked at.",
}
_POSITION = re.compile(r"\[[0-9]+\]")
_BLOCK_BYTES = 2**20
_ENTRY_BYTES_MAX = 64 * 2**20


class Problem(NamedTuple):
    """Something that is wrong, and where. `id` and `data` hold patient data: empty unless asked for."""

    file: str
    resource: int | None
    type: str
    verdict: str
    code: str
    expression: str
    text: str
    id: str = ""
    data: str = ""


def grouped(problems: list[Problem]) -> list[tuple[Problem, int]]:
    """Return the problems with how often each is there: alike but for file, resource and positions in lists."""
    found: dict[tuple[str, ...], tuple[Problem, int]] = {}
    for problem in problems:
        expression = _POSITION.sub("[]", problem.expression)
        key = (problem.type, problem.verdict, problem.code, expression, problem.text)
        first, count = found.get(key, (problem, 0))
        found[key] = first, count + 1
    return list(found.values())


@dataclass
class Report:
    """What was found: resources by type and verdict, and every problem."""

    files: int = 0
    bundles: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        """Whether nothing was rejected or unreadable."""
        return not any(problem.verdict in {"rejected", "unreadable"} for problem in self.problems)

    @property
    def holds_fhir(self) -> bool:
        """Whether there was a bundle, if an empty one, or a resource of a type that FHIR has."""
        return bool(self.bundles) or any(name != UNKNOWN_TYPE for name, _ in self.verdicts)

    @staticmethod
    def why(verdict: str) -> str:
        """Return what a verdict means that no problem explains."""
        return _UNCHECKED if verdict == "unchecked" else ""


def check(paths: list[Path], validators: Validators, validator: Validator, *, with_data: bool = False) -> Report:
    """Return the report on all files in `paths`, folders included."""
    report = Report()
    for path in _files(paths):
        report.files += 1
        try:
            for number, raw in enumerate(_resources(path, report), start=1):
                problems = _check(report, raw, validators if with_data else None, validator)
                report.problems += [problem._replace(file=path.name, resource=number) for problem in problems]
        except Poison as error:
            reason = error.reason if path.stat().st_size else "empty"
            text = _UNREADABLE.get(reason, f"This cannot be read: {reason}.")
            report.problems.append(Problem(path.name, None, "", "unreadable", "structure", "", text))
    return report


def _check(report: Report, raw: bytes, validators: Validators | None, validator: Validator) -> list[Problem]:
    """Count the verdict on one resource, and return what is wrong with it; with `validators`, data included."""
    result, _ = validator.validate(raw)
    found = facts(raw)
    report.verdicts[found.type, result.status] += 1
    problems = [
        Problem("", None, found.type, result.status, issue.code, issue.expression, issue.text)
        for issue in result.issues
    ]
    if validators is None:
        return problems
    data = _data(raw, validators) if result.status == "rejected" else []
    return [
        problem._replace(id=found.id, data=quoted)
        for problem, quoted in zip_longest(problems, data[: len(problems)], fillvalue="")
        if isinstance(problem, Problem)
    ]


def _data(raw: bytes, validators: Validators) -> list[str]:
    """Return what the library says of each issue, values included."""
    try:
        failure = validators.library.failure(orjson.loads(raw))
    except (ValueError, KeyError, TypeError):
        return []
    errors = getattr(failure, "errors", None)
    return [f"{item['msg']}: {item['input']!r}" for item in errors()] if errors else [repr(failure)]


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES and each.is_file())
        else:
            yield path


def _resources(path: Path, report: Report) -> Iterator[bytes]:
    if path.suffix in _LINES or (path.suffix not in SUFFIXES and _is_lines(path)):
        with path.open("rb") as lines:
            yield from (line.removeprefix(codecs.BOM_UTF8) for line in lines if line.strip())
        return
    with bundle_file(path) as bundle:
        try:
            # A resource may have an `entry`, too: only at its end is it certain that a file is a bundle.
            for _ in bundle.blocks(block_bytes=_BLOCK_BYTES, entry_bytes_max=_ENTRY_BYTES_MAX):
                pass
        except Poison as error:
            if error.reason != "not_a_bundle":
                raise
            yield path.read_bytes().removeprefix(codecs.BOM_UTF8)
            return
        report.bundles += 1
        for block in bundle.blocks(block_bytes=_BLOCK_BYTES, entry_bytes_max=_ENTRY_BYTES_MAX):
            yield from block.resources


def _is_lines(path: Path) -> bool:
    """Whether a file whose name does not say what it is holds a whole object in its first line, and more behind it."""
    with path.open("rb") as file:
        first, second = file.readline(_ENTRY_BYTES_MAX), file.readline(2)
    try:
        return bool(second.strip()) and isinstance(orjson.loads(first.removeprefix(codecs.BOM_UTF8)), dict)
    except ValueError:
        return False
