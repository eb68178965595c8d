"""What operators decide for a stage: the words that stand in `decision` of a record of `release.<stage>`.

A record that is released from quarantine has none: it is what it was, with the header `x-released`.
"""

import json
from typing import Any, Final

ACCEPT: Final = "accept"  # go on although records were lost
RESUME: Final = "resume"  # go on with the version that was paused
DROP: Final = "drop"  # be done with a record in quarantine
REMOVALS: Final = "removals"  # what is to become of removals that are held


def said(value: bytes | None) -> dict[str, Any] | None:
    """Return what a record decides, with the word in `decision`; None if it is no decision, whatever it is."""
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("decision"), str) else None
