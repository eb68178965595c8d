"""Where links may point at."""

import pytest

from streams.links import address
from streams.links.address import AddressRules

RULES = AddressRules(("amazonaws.com", ".metriport.com"), ("http://127.0.0.1:9000",))


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket.s3.us-west-1.amazonaws.com/key?X-Amz-Signature=00",
        "https://amazonaws.com/a",
        "https://BUCKET.AmazonAWS.com./a",
        "https://bucket.amazonaws.com:8443/a",
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
        "https://notamazonaws.com/a",
        "https://amazonaws.com.evil.example/a",
        "https://evil.example/amazonaws.com",
        "https://evil.example#.amazonaws.com",
        "https://evil.example?.amazonaws.com",
        "https://a:b@bucket.amazonaws.com/a",
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
    ],
)
def test_what_is_no_link_is_not_parsed(url):
    assert address.parse(url) is None


def test_a_link_keeps_its_text():
    text = "/cxId%3D01/a%2Fb%7E~?versionId=3sL4&X-Amz-Credential=a%2Fb&x=%20+"

    assert address.parse(f"https://b.amazonaws.com{text}").raw_path_qs == text


def test_no_hosts_means_no_links():
    assert not AddressRules(("", ".")).allows(address.parse("https://bucket.amazonaws.com/a"))


@pytest.mark.parametrize(
    "literal",
    ["52.92.0.1", "8.8.8.8", "2600:1fa0:8000::1", "64:ff9b::345c:1", "::ffff:52.92.0.1"],
)
def test_an_address_on_the_internet_is_public(literal):
    assert address.is_public(literal)


@pytest.mark.parametrize(
    "literal",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "100::1",
        "not an address",
    ],
)
def test_an_address_that_is_not_on_the_internet_is_not_public(literal):
    assert not address.is_public(literal)
