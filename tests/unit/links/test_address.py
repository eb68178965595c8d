"""Where links may point at."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.links.fetching import address
from streams.links.fetching.address import AddressRules

RULES = AddressRules(("amazonaws.com", ".metriport.com"), ("http://127.0.0.1:9000",))


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket.s3.us-west-1.amazonaws.com/key?X-Amz-Signature=00",
        "https://amazonaws.com/a",
        "https://BUCKET.AmazonAWS.com./a",
        "https://bucket.amazonaws.com:443/a",
        "https://old_bucket.amazonaws.com/a",
        "https://x.metriport.com/a",
        "http://127.0.0.1:9000/bucket/key",
    ],
)
def test_a_link_inside_the_rules_is_allowed(url):
    assert RULES.allows(address.parse(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://bucket.amazonaws.com/a",
        "https://bucket.amazonaws.com:8443/a",
        "https://bucket.amazonaws.com:22/a",
        "https://bucket.amazonaws.com:0/a",
        "http://bucket.amazonaws.com:443/a",
        "https://notamazonaws.com/a",
        "https://amazonaws.com.evil.example/a",
        "https://evil.example/amazonaws.com",
        "https://evil.example#.amazonaws.com",
        "https://evil.example?.amazonaws.com",
        "https://a:b@bucket.amazonaws.com/a",
        "https://:b@bucket.amazonaws.com/a",
        "https://a@bucket.amazonaws.com/a",
        "https://127.0.0.1:9000/a",
        "http://127.0.0.1:9001/a",
        "http://u@127.0.0.1:9000/a",
        "http://localhost:9000/a",
        "https://[::1]/a",
        "https://%61mazonaws.com/a",
    ],
)
def test_a_link_outside_the_rules_is_not_allowed(url):
    parsed = address.parse(url)

    assert parsed is None or not RULES.allows(parsed)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "amazonaws.com/a",
        "https://",
        "https:///a",
        "https://amazonaws.com\\@evil/",
        "https://a.com/\r\nHost: b",
        "file:///etc",
        "https://s3.amazonaws.com:99999/x",
        "https://s3.amazonaws.com:-1/x",
        "https://s3.amazonaws.com:abc/x",
        "https://s3.amazonaws.com:\uff14\uff14\uff13/x",
        "https://[é:1]c:8@/x",
        "https://[::1/x",
        "https://[::1]]/x",
        "https://[fe80::1%25eth0]/x",
        "https://[v1.x]/x",
        "https://xn--.amazonaws.com/",
        "https://xn--a.amazonaws.com/",
        "https://é.amazonaws.com/",
        "https://s3。amazonaws.com/",
        "https://%73%33.amazonaws.com/",
        "https://s3 .amazonaws.com/",
        "https://s3..amazonaws.com/",
        "https://.amazonaws.com/",
        "https://-a.amazonaws.com/",
        f"https://{'a' * 64}.amazonaws.com/",
        f"https://{'a.' * 130}amazonaws.com/",
        "https://*.amazonaws.com/",
        "https://a@b@s3.amazonaws.com@/",
        "https://s3.amazonaws.com/\ud83d\x00",
        "https://s3.amazonaws.com/\x7f",
        f"https://s3.amazonaws.com/{'a' * address.LINK_CHARS_MAX}",
    ],
)
def test_what_is_no_link_is_not_parsed(url):
    assert address.parse(url) is None
    assert address.host(url) == ""


# What links are made of, and what has broken readers of them.
PIECES = st.one_of(
    st.sampled_from(
        [
            *(
                "https://",
                "http://",
                "//",
                "/",
                ":",
                "@",
                "[",
                "]",
                "[::1]",
                "?",
                "#",
                "%",
                "%zz",
                "%00",
                ".",
                "..",
                "\\",
            ),
            *(
                "s3",
                ".amazonaws.com",
                "xn--",
                "xn--a",
                "é",
                "\ud83d",
                "\x00",
                "\n",
                "\u202e",
                "\uff14\uff14\uff13",
                "。",
                "①",
            ),
            *(":443", ":99999", ":-1", ":abc", "127.0.0.1", "0x7f.1", "v1.", "a" * 64, "a" * 300, "ß", "İ", "\u200d"),
        ]
    ),
    st.text(max_size=8),
)


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(["", "https://", "https://s3.amazonaws.com"]))
def test_no_text_makes_reading_a_link_raise(text, start):
    parsed = address.parse(start + text)

    address.host(start + text)
    if parsed is not None:
        RULES.allows(parsed)
        assert all(32 < ord(char) < 127 for char in str(parsed))
        assert parsed.host
        assert parsed.authority


def test_other_ports_are_for_operators_to_allow():
    rules = AddressRules(("amazonaws.com",), allowed_ports=(443, 8443))

    assert rules.allows(address.parse("https://bucket.amazonaws.com:8443/a"))
    assert not rules.allows(address.parse("https://bucket.amazonaws.com:22/a"))


def test_a_link_keeps_its_text():
    text = "/cxId%3D01/a%2Fb%7E~?versionId=3sL4&X-Amz-Credential=a%2Fb&x=%20+"

    assert address.parse(f"https://b.amazonaws.com{text}").raw_path_qs == text


def test_no_hosts_means_no_links():
    assert not AddressRules(("", ".")).allows(address.parse("https://bucket.amazonaws.com/a"))
