"""Sample deliveries, one file per situation: what `trigger` posts, the tests send and the README shows.

A file is called after its `meta.type`, with the situation behind it where there are several:
`medical.document-download.json`, `medical.document-download.failed.json`.
"""

import json
from importlib import resources
from typing import Any


def names() -> tuple[str, ...]:
    """Return the name of every sample, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json")))


def load(name: str) -> dict[str, Any]:
    """Return a sample as a new object, free to be changed; raise `KeyError` if there is none of that name."""
    if name not in names():
        raise KeyError(name)
    sample: dict[str, Any] = json.loads(resources.files(__name__).joinpath(f"{name}.json").read_bytes())
    return sample


def encode(delivery: dict[str, Any]) -> bytes:
    """Return the bytes Metriport would post: compact, with non-ASCII text as it is."""
    return json.dumps(delivery, ensure_ascii=False, separators=(",", ":")).encode()
