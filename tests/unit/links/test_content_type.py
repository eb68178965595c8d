"""Whether bytes are what they were said to be."""

import pytest

from streams.links import content_type


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [
        ("application/json", "json"),
        ("application/fhir+json; charset=utf-8", "json"),
        ("text/xml", "xml"),
        ("Application/XML", "xml"),
        ("application/hl7-v3+xml", "xml"),
        ("text/html", "html"),
        ("application/pdf", "pdf"),
        ("image/tiff", "image"),
        ("image/svg+xml", "unknown"),
        ("text/plain", "text"),
        ("application/octet-stream", "unknown"),
        ("nonsense", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_mime_type_stands_for_a_kind(mime_type, kind):
    assert content_type.declared(mime_type) == kind


@pytest.mark.parametrize(
    ("expected", "head"),
    [
        ("pdf", b"%PDF-1.7"),
        ("pdf", b"\n\njunk %PDF-1.4"),
        ("pdf", b"\x00\x01\x02"),
        ("xml", b"\xef\xbb\xbf<?xml version='1.0'?>"),
        ("xml", "<?xml".encode("utf-16")),
        ("html", b"<?xml version='1.0'?><html>"),
        ("text", b"{\\rtf1"),
        ("text", b"anything"),
        ("image", b"\x89PNG\r\n\x1a\n"),
        ("json", b" \n{"),
        ("unknown", b""),
        ("unknown", b"\x1f\x8b"),
    ],
)
def test_what_does_not_contradict_passes(expected, head):
    assert not content_type.contradicts(expected, head)


@pytest.mark.parametrize(
    ("expected", "head"),
    [
        ("pdf", b"<html>Sorry</html>"),
        ("pdf", b"<?xml version='1.0'?><Error>"),
        ("pdf", b"{}"),
        ("pdf", b""),
        ("xml", b"<!DOCTYPE html>"),
        ("xml", b"%PDF-1.7"),
        ("json", b"<Error>"),
        ("json", b""),
        ("json", b"\x1f\x8b\x08"),
        ("text", b"%PDF-1.7"),
        ("image", b"%PDF-1.7"),
        ("html", b"\x1f\x8b\x08"),
    ],
)
def test_a_contradiction_is_seen(expected, head):
    assert content_type.contradicts(expected, head)


def test_what_metriport_makes_itself_must_show_what_it_is():
    assert content_type.contradicts("pdf", b"\x00\x01\x02", strict=True)
    assert not content_type.contradicts("pdf", b"%PDF-1.7", strict=True)
    assert not content_type.contradicts("html", b"<div>", strict=True)
