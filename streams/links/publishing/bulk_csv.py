"""Read the result of a bulk patient create. Pure, and never by guessing: what is not certain stays unread.

Metriport's writer is not RFC 4180: a cell with a comma or a quote is wrapped in quotes, but quotes inside are not
doubled; only the reason doubles them, and it is wrapped only if it has a comma. Rows that were short in the customer's
file are short here. So a line may be cut in several ways, and is read only if exactly one of them is what the writer
could have written: as many cells as the header, then an id or nothing, a known status, and a reason only if it failed.
In a file that has short rows, a line that could also be a short one is not read either.

The writer: https://github.com/metriport/metriport/blob/develop/packages/core/src/command/patient-import/csv/store-results.ts
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

from models.errors import MetriportStreamsError
from models.records import RowStatus

TRAILER = ("metriportid", "status", "reason")
ROW_BYTES_MAX = 64 * 2**10
COLUMNS_MAX = 1000
TRAILERS_MAX = 50  # ways to read the end of one line
SPANS_MAX = 2500  # ways to begin and end a wrapped cell looked at in one line, so that no line takes very long

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STATUSES: dict[str, RowStatus] = {
    "successful": "successful",
    "succeeded": "successful",
    "failed": "failed",
    "waiting": "waiting",  # a dry run leaves its good rows so
    "processing": "waiting",
}


_Cuts = dict[int, tuple[str, ...] | None]  # cells by their number; None where there are several ways of one number


class NotAResult(MetriportStreamsError):
    """The file does not begin like a bulk create result: none of its rows can be read."""


class Row(NamedTuple):
    """One row that was read for certain."""

    patient_id: str | None
    status: RowStatus
    reason: str | None
    columns: dict[str, str]


class _Trailer(NamedTuple):
    patient_id: str | None
    status: RowStatus
    reason: str | None
    start: int  # where the customer's cells end


class _End(NamedTuple):
    patient_id: str
    status: RowStatus
    start: int  # where the customer's cells end
    reason_start: int


class _Reading(NamedTuple):
    patient_id: str | None
    status: RowStatus
    reason: str | None
    cells: tuple[str, ...]


def header(line: bytes) -> tuple[str, ...]:
    """Return the names of the customer's columns, without Metriport's three; raise `NotAResult` for anything else."""
    cells = (_text(line.removeprefix(b"\xef\xbb\xbf")) or "").split(",")
    own = cells[:-3]
    if not own or len(own) > COLUMNS_MAX or tuple(name.lower() for name in cells[-3:]) != TRAILER or '"' in str(own):
        raise NotAResult
    return _distinct(own)


def _distinct(own: Sequence[str]) -> tuple[str, ...]:
    """Return the names; one that came before gets the number of its column, or the next that makes it a new name."""
    taken, names = set(own), list[str]()
    for place, name in enumerate(own, 1):
        if name in own[: place - 1]:
            name = next(other for number in count(place) if (other := f"{name} ({number})") not in taken)  # noqa: PLW2901
            taken.add(name)
        names.append(name)
    return tuple(names)


def is_ragged(names: tuple[str, ...], lines: Iterable[bytes]) -> bool:
    """Return whether the file surely has rows that are shorter or longer than its header."""
    return any((lengths := set(_readings(line))) and len(names) not in lengths for line in lines)


def read(names: tuple[str, ...], line: bytes, *, ragged: bool) -> Row | None:
    """Return what one line says, or None where that is not certain. `ragged`: what `is_ragged` says of its file."""
    readings = _readings(line)
    reading = readings.get(len(names))
    if reading is None or (ragged and len(readings) > 1):
        return None
    return Row(reading.patient_id, reading.status, reading.reason, dict(zip(names, reading.cells, strict=True)))


def _text(line: bytes) -> str | None:
    if len(line) > ROW_BYTES_MAX:
        return None
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        return None


def _readings(line: bytes) -> dict[int, "_Reading | None"]:
    """Return the ways to read a line by their number of customer's cells; None where there are several of a number."""
    text = _text(line)
    if text is None:
        return {}
    found: dict[int, _Reading | None] = {}
    for trailer in _trailers(text):
        for length, cells in _cuts(text[: trailer.start]).items():
            again = length in found
            found[length] = None if again or cells is None else _Reading(*trailer[:3], cells)
    return found


def _trailers(text: str) -> list[_Trailer]:
    """Return the ways to read the last three cells; none if there are too many to look at."""
    ends = list(islice(_ends(text), TRAILERS_MAX + 1))
    if len(ends) > TRAILERS_MAX:
        return []
    read = ((end, _reason(text[end.reason_start :])) for end in ends)
    return [
        _Trailer(end.patient_id or None, end.status, reason or None, end.start)
        for end, reason in read
        if reason is not None and (not reason or end.status == "failed")
    ]


def _ends(text: str) -> Iterator[_End]:
    """Yield where an id or nothing, a known status and the beginning of a reason stand one behind the other."""
    for third in _reason_starts(text):
        second = text.rfind(",", 0, third)
        first = text.rfind(",", 0, max(second, 0))
        status, patient_id = _STATUSES.get(text[second + 1 : third]), text[first + 1 : max(second, 0)]
        if first >= 0 and status and (not patient_id or _ID.fullmatch(patient_id)):
            yield _End(patient_id, status, first, third + 1)


def _reason_starts(text: str) -> list[int]:
    """Return the commas behind which the reason may begin: the last one, or any before a quote if it ends in one."""
    last = text.rfind(",")
    starts = [last] if last >= 0 else []
    if text.endswith('"'):
        starts += [match.start() for match in re.finditer(',"', text) if match.start() != last]
    return starts


def _reason(cell: str) -> str | None:
    """Return the reason in its last cell, where quotes are doubled and a comma means that it is wrapped."""
    if cell.startswith('"') and cell.endswith('"') and "," in cell:
        cell = cell[1:-1]
    elif "," in cell:
        return None
    return None if '"' in cell.replace('""', "") else cell.replace('""', '"')


def _cuts(text: str) -> _Cuts:
    """Return the ways to cut the customer's cells by their number; None where there are several of one number."""
    if '"' not in text:
        cells = tuple(text.split(","))
        return {len(cells): cells}
    ends = [match.start() for match in re.finditer(",", text)] + [len(text)]
    starts = [0] + [end + 1 for end in ends[:-1]]
    if len(ends) > COLUMNS_MAX or sum(text.startswith('"', start) for start in starts) ** 2 > SPANS_MAX:
        return {}
    # Left to right: what is known up to each comma follows from what is known up to the commas before it.
    known: list[_Cuts] = [{0: ()}, *({} for _ in ends)]
    for first, start in enumerate(starts):
        for last in range(first, len(ends)) if text.startswith('"', start) else (first,):
            cell = _cell(text[start : ends[last]])
            if cell is not None:
                _extend(known[first], known[last + 1], cell)
    return known[-1]


def _extend(before: _Cuts, after: _Cuts, cell: str) -> None:
    for length, cells in before.items():
        again = length + 1 in after
        after[length + 1] = None if again or cells is None else (*cells, cell)


def _cell(raw: str) -> str | None:
    """Return the content of a cell as the writer writes it: wrapped if, and only if, it has a comma or a quote."""
    inner = raw[1:-1]
    if len(raw) > 1 and raw[0] == raw[-1] == '"' and ("," in inner or '"' in inner):
        return inner
    return None if "," in raw or '"' in raw else raw
