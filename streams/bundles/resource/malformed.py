"""Say what is wrong with bytes that are no JSON or say a member twice, and read of which resource they seem to be."""

import json
from typing import Any

import orjson

from streams.bundles.bundle.json_scan import members

DUPLICATE_MEMBER = "duplicate_member"
# Why bytes are refused, in a sentence that holds nothing of them.
SENTENCES = {
    "bad_utf8": "The text is not UTF-8.",
    "control_character": "A text holds a control character that must be written as an escape.",
    "not_a_number": "A value is NaN or infinite, which JSON does not have.",
    "lone_surrogate": "A text holds half of a surrogate pair: it was cut within a character.",
    "number_out_of_range": "A number is larger than a 64 bit float can hold.",
    DUPLICATE_MEMBER: "An object says a member twice.",
    "not_json": "This is not JSON.",
}
_EXPLAINED_BYTES_MAX = 2**20  # to find out why costs much more than to find out that


def why_not_json(raw: bytes) -> str:
    """Return which of the kinds above keeps bytes that orjson refused from being JSON."""
    if len(raw) > _EXPLAINED_BYTES_MAX:
        return "not_json"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "bad_utf8"
    constants: list[str] = []
    try:
        # Python's reader takes what others refuse; what it refuses, too, has no better name.
        read = json.loads(text, parse_constant=constants.append, parse_int=str)
    except (ValueError, RecursionError):
        return "control_character" if _is_json_but_for_control_characters(text) else "not_json"
    if constants:
        return "not_a_number"
    return "number_out_of_range" if _is_encodable(read) else "lone_surrogate"


def _is_json_but_for_control_characters(text: str) -> bool:
    try:
        json.loads(text, strict=False, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _is_encodable(read: Any) -> bool:  # noqa: ANN401 - any JSON
    try:
        json.dumps(read, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def has_duplicate_member(raw: bytes, written: bytes) -> bool:
    """Whether an object in `raw` says a member twice; `written` is what was read from it, the last one of each.

    Both have a pair of quotation marks for each name and each text. What was left out is missing there.
    """
    return _quotation_marks(written) != _quotation_marks(raw)


def _quotation_marks(text: bytes) -> int:
    """Return how many there are that begin or end a text."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.count(b'"')


def readable_part(raw: bytes) -> bytes:
    """Return a resource of no more than the type and the id that `raw` says, where these can be read."""
    found: dict[str, str] = {}
    try:
        for member in members(raw, 0, len(raw)):
            if member.name in {b'"resourceType"', b'"id"'}:
                found[member.name[1:-1].decode()] = orjson.loads(raw[member.start : member.end])
    except (ValueError, IndexError):
        pass
    return orjson.dumps(found)
