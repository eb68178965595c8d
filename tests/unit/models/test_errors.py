"""The drawing of the service's exceptions shows every class there is, and no other."""

import ast
import builtins
import re
from pathlib import Path

import pytest

from models import errors

ROOT = Path(__file__).parents[3]
FOLDERS = ("cli", "ingress", "models", "streams")
GENERATIONS_MAX = 6  # from Exception to the last of its heirs
LINE = re.compile(r"    (?P<branch>[│├└─ ]*)(?P<name>[A-Z][A-Za-z]+)(?: +(?P<says>.+))?")


def drawn(drawing):
    """Yield the place of each class in the drawing: its name, what it is drawn under, and its module."""
    above = []
    for found in map(LINE.fullmatch, drawing.splitlines()):
        if found:
            depth = len(found["branch"]) // 4
            del above[depth:]
            module = re.match(r"((cli|ingress|streams)[a-z_.]*): ", found["says"] or "")
            yield found["name"], above[-1] if above else "Exception", module[1] if module else "models.errors"
            above.append(found["name"])


def defined():
    """Yield each exception class of the source: its name, what it is derived from, and its module."""
    classes = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    bases = [base.id if isinstance(base, ast.Name) else "" for base in node.bases]
                    classes[module, node.name] = bases
    known = {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)}
    for _ in range(GENERATIONS_MAX):
        known |= {name for (_, name), bases in classes.items() if known & set(bases)}
    for (module, name), bases in classes.items():
        if known & set(bases) and not name.startswith("_"):  # those never leave their module
            yield name, bases[0], module


def test_the_drawing_shows_every_exception_under_the_one_it_is_derived_from():
    shown, there = set(drawn(errors.__doc__)), set(defined())

    assert there - shown == set(), "draw these in models/errors.py, and derive them from MetriportStreamsError"
    assert shown - there == set()


@pytest.mark.parametrize("refusal", errors.Refused.__subclasses__())
def test_a_refusal_is_drawn_with_its_status_and_reason(refusal):
    assert re.search(rf" {refusal.__name__} +{refusal.status} {refusal.reason}\n", errors.__doc__)
