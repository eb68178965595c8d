"""Signatures: Metriport's own vectors, and everything that is not one."""

import pytest

from models import signature
from models.errors import BadSignature

KEY = b"wh-key_0123456789abc"
VECTORS = [
    pytest.param(
        b'{"meta":{"messageId":"7c9a6d0e-3d0b-4b51-9d5c-0f2c6f6a1c11","when":"2025-10-30T12:00:00.123Z","type":"ping"},'
        b'"ping":"V1StGXR8_Z5jdHi6B-myT"}',
        "06b6308298da0484e93b9be137cefc77aff501ab8f4649b12b143f27be927139",
        id="ping",
    ),
    pytest.param(
        (
            '{"meta":{"messageId":"c3d5b0d4-8f8e-4a2e-a0b7-0fd0f4a2a9d3","when":"2025-10-30T12:07:02.118Z",'
            '"type":"medical.document-conversion"},"patients":[{"status":"completed",'
            '"patientId":"01936b20-48f8-7d49-8bc6-50e0c4986011","externalId":"Zoë-日本"}]}'
        ).encode(),
        "e54e94e50d1b220ea952b9b857d3b75ee4c29cf883e723b43481add4a1fcee12",
        id="non-ascii",
    ),
]


@pytest.mark.parametrize(("raw", "expected"), VECTORS)
def test_a_body_signed_by_metriport_is_accepted(raw, expected):
    signature.verify(raw, expected, keys=[b"another", KEY])

    assert signature.sign(raw, key=KEY) == expected


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("undefined", id="undefined"),
        pytest.param(signature.sign(b"{}", key=KEY).upper(), id="upper-case"),
        pytest.param(signature.sign(b"{}", key=KEY)[:-1], id="short"),
        pytest.param(signature.sign(b"{}", key=KEY) * 200, id="long"),
        pytest.param(signature.sign(b"{} ", key=KEY), id="another-body"),
        pytest.param(signature.sign(b"{}", key=b"retired"), id="another-key"),
        pytest.param("é" * 64, id="non-ascii"),
        pytest.param("\udcff" * 64, id="raw-bytes"),
    ],
)
def test_anything_else_is_refused(offered):
    with pytest.raises(BadSignature):
        signature.verify(b"{}", offered, keys=[KEY])
