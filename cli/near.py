"""What a mistyped name may have meant. Pure."""

import difflib
from collections.abc import Iterable

SHOWN_MAX = 3


def names(given: str, there: Iterable[str]) -> list[str]:
    """Return the names most like the given one, nearest first; none if none is like it."""
    by_folded = {name.casefold(): name for name in there}
    folded = given.casefold()
    found = difflib.get_close_matches(folded, by_folded, n=SHOWN_MAX, cutoff=0.7)
    # A part of a name is what people remember of it: `admit`, `consolidated`.
    parts = [name for name in by_folded if len(folded) > 2 and (folded in name or name in folded)]  # noqa: PLR2004 - two letters are in too many
    return [by_folded[name] for name in dict.fromkeys((*found, *parts))][:SHOWN_MAX]


def question(given: str, there: Iterable[str]) -> str:
    """Return " Did you mean a or b?", empty if nothing is like it: to be put behind a sentence."""
    found = names(given, there)
    return f" Did you mean {' or '.join(found)}?" if found else ""
