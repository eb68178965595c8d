"""Says which code a stage runs, so that it can tell when another version took over."""

import hashlib
from functools import cache
from pathlib import Path

import models
import streams
from models.build import VERSION

_DIGITS = 12


@cache
def code_version() -> str:
    """Return the version of the package and a digest of the code of its stages.

    The number alone hardly changes while a version is in the making, and a mended build may carry it, too.
    """
    made = hashlib.sha256()
    for package in (models, streams):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*.py")):
            made.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"{VERSION}+{made.hexdigest()[:_DIGITS]}"
