"""Tell by its first bytes whether a body is what it should be. Only contradictions count: labels are sloppy. Pure."""

from typing import Literal

Kind = Literal["json", "xml", "html", "pdf", "gzip", "image", "zip", "text", "unknown"]

HEAD_BYTES = 1024  # where a PDF may start (PDF Reference 1.7, appendix H), and more than enough for the others
GZIP_MAGIC = b"\x1f\x8b"

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"%PDF-", "pdf"),
    (GZIP_MAGIC, "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
    (b"GIF8", "image"),
)
_BOM = b"\xef\xbb\xbf"
_BINARY: frozenset[Kind] = frozenset({"pdf", "gzip", "zip", "image"})
# What a body of each declared kind may look like. Kinds that are not here may look like anything.
_ACCEPTED: dict[Kind, frozenset[Kind]] = {
    "json": frozenset({"json"}),
    "xml": frozenset({"xml", "unknown"}),
    "html": frozenset({"html", "xml", "text", "unknown"}),
    "pdf": frozenset({"pdf", "unknown"}),
    "gzip": frozenset({"gzip"}),
    "zip": frozenset({"zip"}),
    "image": frozenset({"image", "unknown"}),
    "text": frozenset({"text", "json", "xml", "html", "unknown"}),
}


def declared(mime_type: str | None) -> Kind:
    """Return the kind a mime type stands for; `unknown` for those that promise nothing about the bytes."""
    mime = (mime_type or "").partition(";")[0].strip().lower()
    major, _, minor = mime.partition("/")
    if minor == "json" or minor.endswith("+json"):
        return "json"
    if mime in {"text/html", "application/xhtml+xml"}:
        return "html"
    if minor == "xml" or minor.endswith("+xml"):
        return "xml" if major != "image" else "unknown"
    named: dict[str, Kind] = {"application/pdf": "pdf", "application/gzip": "gzip", "application/zip": "zip"}
    return named.get(mime) or ("image" if major == "image" else "text" if major == "text" else "unknown")


def sniffed(head: bytes) -> Kind:
    """Return the kind that the first bytes show, or `unknown`."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if b"%PDF-" in head[:HEAD_BYTES]:
        return "pdf"
    text = head.removeprefix(_BOM).lstrip()[:64].lower()
    if text.startswith((b"{", b"[")):
        return "json"
    if text.startswith((b"<!doctype html", b"<html")):
        return "html"
    return "xml" if text.startswith(b"<") else "unknown"


def contradicts(expected: Kind, head: bytes, *, strict: bool = False) -> bool:
    """Return whether a body that begins with `head` cannot be of the `expected` kind.

    `strict`: it must show that it is. Without, whatever shows nothing may pass: real PDFs and XML come with odd starts.
    """
    if expected == "unknown":
        return False
    seen = sniffed(head)
    if strict and expected != "text":
        return seen != expected and not (expected == "html" and seen == "xml")
    return seen not in _ACCEPTED[expected] or (not head and expected in _BINARY)
