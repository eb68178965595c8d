"""Prepares outputs of work that finishes in no order, such as downloads: known by their `ce_id`, not their place."""

from collections.abc import Sequence

from models.headers import CE_ID, GENERATION, SETTLED, get
from streams.engine.job import Output
from streams.engine.log.output_tails import Tails
from streams.engine.log.source_header import without


def unwritten(outputs: Sequence[Output], tails: Tails, *, generation: str) -> dict[str, list[Output]]:
    """Return the outputs that the tails do not hold yet, by topic, marked with `x-settled`."""
    marks = [(SETTLED, b"1"), *([(GENERATION, generation.encode())] if generation else [])]
    rows: dict[str, list[Output]] = {}
    for output in outputs:
        if get(output.headers, CE_ID) not in tails.unordered.get(output.topic, ()):
            headers = [*without(output.headers, SETTLED, GENERATION), *marks]
            rows.setdefault(output.topic, []).append(output._replace(headers=headers))
    return rows


def demand(outputs: Sequence[Output], *, most: int) -> None:
    """Raise `ValueError` unless a repeat of these could be recognised."""
    if len(outputs) > most:
        raise ValueError(f"at most {most} outputs at once: the tail read after a crash must cover them")
    if any(not get(output.headers, CE_ID) for output in outputs):
        raise ValueError("every output that is finished out of order needs a ce_id")
