"""Which addresses are on the internet."""

from ipaddress import ip_network

import pytest

from streams.links.fetching import networks


@pytest.mark.parametrize(
    "literal",
    ["52.92.0.1", "8.8.8.8", "192.0.1.1", "2600:1fa0:8000::1", "64:ff9b::345c:1", "::ffff:52.92.0.1"],
)
def test_an_address_on_the_internet_is_public(literal):
    assert networks.is_public(literal)


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
        "192.0.0.9",
        "192.0.0.171",
        "192.0.0.192",
        "192.0.0.255",
        "192.175.48.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:192.0.0.170",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::c000:9",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "2001:20::1",
        "2620:4f:8000::1",
        "3fff::1",
        "5f00::1",
        "4000::1",
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
    assert not networks.is_public(literal)


# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, 2025-10. What other
# registries hold, and what stands for an IPv4 address, is above.
REGISTERED = [
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.88.99.2/32",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::1/128",
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
]


@pytest.mark.parametrize("network", REGISTERED)
def test_no_special_purpose_network_is_public_from_its_first_to_its_last_address(network):
    parsed = ip_network(network)

    assert not networks.is_public(str(parsed[0]))
    assert not networks.is_public(str(parsed[-1]))
