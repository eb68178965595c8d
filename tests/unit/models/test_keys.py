"""What is stored is found again: every short name and every hash stays as it was, byte for byte."""

from types import SimpleNamespace

import pytest

from models import envelope
from streams.deliveries.job import _mark
from streams.links.link import state_key
from streams.links.publishing.records import _cut
from streams.patients.job import _ce_id, _key

# Of 513, 1025 and 129 bytes, as sha256sum says.
HASH_513 = b"52271a8eb5c89b681f583ba3c1a64700c1d665596ba3477532dec89d1eaa2c23"
HASH_1025 = b"958470fd9623debaa43442473496736c3b2a8422d8a5fcf5671f1ea15208ce31"
HASH_129 = bytes.fromhex("d3e1f231e107830cc83425ca50865ae1caee8e63fcf3f7e1bc6c1fa21bdf1cd7")


def link(name):
    return state_key(SimpleNamespace(id=name))


def event(name):
    return _ce_id(SimpleNamespace(headers=[("ce_id", name)]))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param(envelope._key("i" * 512), b"i" * 512, id="key of a delivery"),
        pytest.param(envelope._key("é" * 256), "é".encode() * 256, id="key, in bytes"),
        pytest.param(envelope._key("i" * 513), HASH_513, id="long key of a delivery"),
        pytest.param(_mark("i" * 126 + "/0"), b"m/" + b"i" * 126 + b"/0", id="mark"),
        pytest.param(_mark("i" * 127 + "/0"), b"m/" + HASH_129, id="long mark, raw"),
        pytest.param(link("i" * 512), b"l/" + b"i" * 512, id="listed link"),
        pytest.param(link("i" * 513), b"l/" + HASH_513, id="long link"),
        pytest.param(_cut(("ce_id", b"i" * 1024)), ("ce_id", b"i" * 1024), id="id in quarantine"),
        pytest.param(_cut(("ce_id", b"i" * 1025)), ("ce_id", HASH_1025), id="long id in quarantine"),
        pytest.param(_cut(("x", b"i" * 1025)), ("x", b"i" * 1024), id="long header in quarantine"),
        pytest.param(_key(b"p/", "é" * 200), b"p/" + "é".encode() * 200, id="patient, in characters"),
        pytest.param(
            _key(b"q/", "é" * 201, "a/b%"),
            b"q/3821f1b32e730d3a6b5bd3720b9df60d5cb1b9f5731fff576d7f3cc81aae5579/a%2Fb%25",
            id="long patient",
        ),
        pytest.param(event(b"i" * 512), "i" * 512, id="event"),
        pytest.param(event(b"i" * 513), HASH_513.decode(), id="long event"),
    ],
)
def test_a_stored_name_is_as_it_was(stored, expected):
    assert stored == expected
