"""Links whose servers misbehave: each ends as stated, within its limits, and leaves nothing half-written."""

import asyncio
import gzip
import socket
import ssl
import subprocess
import time
from base64 import b64encode

import pytest
from aiohttp.abc import AbstractResolver

from streams.links.fetching.address import AddressRules
from streams.links.fetching.body import Body
from streams.links.fetching.progress import Progress
from streams.links.limits import MIB
from tests.links.misbehaving import drip, endless, good, hang, misbehaving, preamble, raw, reset

JSON = b'{"resourceType":"Bundle"}'
XML_EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


take = Body.take


class Names(AbstractResolver):
    """Resolves every name to what the test says."""

    def __init__(self, *addresses):
        self.addresses = addresses

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in self.addresses
        ]

    async def close(self):
        pass


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(good(XML_EXPIRED, status=403), "forbidden", id="403"),
        pytest.param(good(b"", status=404), "not_found", id="404"),
    ],
)
@pytest.mark.parametrize(("left_s", "outcome"), [(60, "failed"), (-1, "expired")], ids=["alive", "dead"])
async def test_a_refused_link_is_expired_once_its_deadline_has_passed(
    server, fetch, link, stored, answer, reason, left_s, outcome
):
    ended = await fetch(link(server.on("/a", answer), left_s=left_s))

    said_so = reason == "forbidden"  # S3 says itself that the link is dead, whatever our clock says
    assert (ended.outcome, ended.reason) == ("expired" if said_so else outcome, reason)
    assert stored() == {}


async def test_a_dead_link_is_asked_for_once(server, fetch, link):
    await fetch(link(server.on("/a", good(b"", status=403)), left_s=-1))

    assert server.asked == ["/a"]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(good(b"", status=500), id="500"),
        pytest.param(good(b"", status=503), id="503"),
        pytest.param(good(b"", status=429), id="429"),
        pytest.param(good(b"", status=404), id="404"),
        pytest.param(reset(), id="reset"),
        pytest.param(hang(), id="hang"),
        pytest.param(good(JSON, declared=1000), id="truncated"),
        pytest.param(good(JSON, Content_MD5=b64encode(b"0" * 16).decode()), id="wrong-hash"),
    ],
)
async def test_what_passes_is_tried_again(server, fetch, link, stored, first):
    url = server.on("/a", first, good(JSON))

    ended = await fetch(link(url))

    assert stored() == {ended.body.blob: JSON}
    assert server.asked == ["/a", "/a"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(good(b"", status=500), "server_error", id="500"),
        pytest.param(hang(), "timed_out", id="hang"),
        pytest.param(reset(), "unreachable", id="reset"),
    ],
)
async def test_an_outage_is_retried_until_the_deadline(server, fetch, link, answer, reason):
    begun = time.monotonic()

    ended = await fetch(link(server.on("/a", answer), left_s=0.8))

    assert (ended.outcome, ended.reason) == ("failed", reason)
    assert len(server.asked) > 2
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(good(b"", status=302, Location="http://127.0.0.1:1/"), "redirected", id="to-loopback"),
        pytest.param(good(b"", status=307, Location="http://169.254.169.254/"), "redirected", id="to-metadata"),
        pytest.param(good(b"", status=410), "gone", id="410"),
        pytest.param(good(b"", status=400), "refused", id="400"),
        pytest.param(good(JSON, declared=9 * MIB), "too_large", id="declared-too-large"),
        pytest.param(endless(b"x" * MIB), "too_large", id="endless"),
        pytest.param(good(gzip.compress(bytes(15 * MIB)), Content_Encoding="gzip"), "too_inflated", id="bomb"),
        pytest.param(good(gzip.compress(gzip.compress(bytes(900 * MIB)))), "wrong_content", id="gzip-in-gzip"),
        pytest.param(good(JSON, Content_Encoding="br"), "wrong_encoding", id="brotli"),
        pytest.param(drip(), "too_slow", id="drip"),
    ],
)
async def test_what_does_not_pass_ends_within_its_limits(server, fetch, link, reason, answer):
    begun = time.monotonic()

    ended = await fetch(link(server.on("/a", answer), kind="bundle", expects="json"))

    assert (ended.outcome, ended.reason) == ("failed", reason)
    assert time.monotonic() - begun < 5
    assert set(server.asked) == {"/a"}


async def test_a_failed_attempt_leaves_nothing_behind(server, fetch, link, stored):
    await fetch(link(server.on("/a", endless(b"x" * MIB))), bytes_max=3 * MIB)

    assert {key for key in stored() if not key.startswith("rejected/")} == set()


@pytest.mark.parametrize(
    ("answer", "reason", "kept"),
    [
        pytest.param(good(b"<html>Sorry</html>"), "wrong_content", b"<html>Sorry</html>", id="wrong-content"),
        pytest.param(good(b"%PDF-1.7 cut", declared=1000), "truncated", b"%PDF-1.7 cut", id="truncated"),
        pytest.param(
            good(b"%PDF-1.7", Content_MD5=b64encode(b"0" * 16).decode()), "wrong_hash", b"%PDF-1.7", id="wrong-hash"
        ),
    ],
)
async def test_bytes_that_are_not_what_they_should_be_are_kept_aside(server, fetch, link, stored, answer, reason, kept):
    ended = await fetch(link(server.on("/a", answer), expects="pdf"))

    assert (ended.outcome, ended.reason) == ("failed", reason)
    assert stored() == {ended.body.blob: kept}
    assert ended.body.blob.startswith("rejected/")


async def test_an_answer_longer_than_it_declares_is_not_taken_for_whole(server, fetch, link, stored):
    ended = await fetch(link(server.on("/a", good(b'{"a":1}{"b":2}', declared=7))))

    assert (ended.outcome, ended.reason) == ("failed", "bad_answer")
    assert stored() == {}


@pytest.mark.parametrize(
    "url",
    [
        "http://bucket.amazonaws.com/a",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://169.254.169.254/latest/meta-data",
        "https://notamazonaws.com/a",
        "https://amazonaws.com.evil.example/a",
        "https://user:secret@bucket.amazonaws.com/a",
        "https://bucket.amazonaws.com@evil.example/a",
        "https://2130706433/a",
        "https://[64:ff9b::7f00:1]/a",
        "ftp://bucket.amazonaws.com/a",
    ],
)
async def test_a_link_outside_the_rules_is_refused_without_a_request(fetch, link, url):
    ended = await fetch(link(url), rules=AddressRules(("amazonaws.com",)))

    assert (ended.outcome, ended.reason) == ("failed", "address_refused")


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["127.0.0.1"], id="loopback"),
        pytest.param(["10.0.0.1"], id="private"),
        pytest.param(["169.254.169.254"], id="metadata"),
        pytest.param(["::ffff:127.0.0.1"], id="mapped"),
        pytest.param(["64:ff9b::7f00:1"], id="nat64"),
        pytest.param(["52.92.0.1", "127.0.0.1"], id="one-of-two"),
    ],
)
async def test_a_name_that_leads_inside_is_refused(fetch, link, addresses):
    url = "https://bucket.s3.amazonaws.com/a"

    ended = await fetch(link(url), rules=AddressRules(("amazonaws.com",)), resolver=Names(*addresses))

    assert (ended.outcome, ended.reason) == ("failed", "address_refused")


async def test_a_literal_that_leads_inside_is_refused_even_if_its_host_is_allowed(server, fetch, link):
    url = server.on("/a", good(JSON)).replace("http://", "https://")

    ended = await fetch(link(url), rules=AddressRules(("127.0.0.1",)))

    assert (ended.outcome, ended.reason) == ("failed", "address_refused")
    assert server.asked == []


async def test_trust_in_one_origin_is_no_trust_in_its_neighbour(server, fetch, link):
    async with misbehaving() as other:
        ended = await fetch(link(other.on("/a", good(JSON))), rules=AddressRules((), (server.origin,)))

        assert (ended.outcome, ended.reason) == ("failed", "address_refused")
        assert other.asked == []


async def test_a_proxy_of_the_environment_is_not_used(server, fetch, link, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    ended = await fetch(link(server.on("/a", good(JSON))))

    assert ended.outcome == "stored"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate nobody vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem",
        cwd=folder,
        shell=True,
        check=True,
        capture_output=True,
    )
    return folder


async def test_a_certificate_that_is_not_valid_ends_the_fetch(fetch, link, certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    async with misbehaving(tls) as server:
        ended = await fetch(link(server.on("/a", good(JSON))), rules=AddressRules((), (server.origin,)))

    assert (ended.outcome, ended.reason) == ("failed", "certificate")


async def test_no_failure_quotes_the_link(server, fetch, link, caplog):
    caplog.set_level("DEBUG")
    for answer in (good(b"", status=500), reset(), hang(), good(b"", status=403)):
        await fetch(link(server.on("/secret", answer), left_s=0.2))

    assert "00ff" not in caplog.text
    assert "/secret" not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(preamble(b"100 Continue\r\n\r\nHTTP/1.1 "), id="1xx"),
        pytest.param(preamble(b"100 Continue\r\n\r\nHTTP/1.1 ", every_s=0.05), id="1xx-dripping"),
        pytest.param(preamble(b"103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 ", every_s=0.05), id="103-dripping"),
        pytest.param(preamble(b"200 OK", every_s=0.05), id="status-dripping"),
        pytest.param(preamble(b"200 OK\r\nA: b", every_s=0.05), id="headers-dripping"),
    ],
)
async def test_an_answer_that_never_begins_ends_within_its_limit(server, fetch, link, answer):
    begun = time.monotonic()

    ended = await fetch(link(server.on("/a", answer)), answer_timeout_s=0.5)

    assert (ended.outcome, ended.reason) == ("failed", "too_slow")
    assert len(server.asked) == 2
    assert time.monotonic() - begun < 10


async def test_the_body_of_an_error_that_never_ends_says_no_more_than_its_status(server, fetch, link):
    url = server.on("/a", endless(b"x", status=404, every_s=0.05))

    ended = await fetch(link(url, left_s=-1), answer_timeout_s=0.3)

    assert (ended.outcome, ended.reason) == ("expired", "not_found")


async def test_an_error_whose_body_breaks_off_says_what_its_status_says(server, fetch, link):
    ended = await fetch(link(server.on("/a", good(b"x", status=404, declared=100)), left_s=-1))

    assert (ended.outcome, ended.reason) == ("expired", "not_found")


async def test_endless_decoration_between_chunks_is_not_taken_for_a_body(server, fetch, link):
    async def answer(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n5;")
        while True:
            writer.write(b"a=b;" * 100)
            await writer.drain()
            await asyncio.sleep(0.01)

    ended = await fetch(link(server.on("/a", answer), left_s=0.5))

    assert (ended.outcome, ended.reason) in {("failed", "timed_out"), ("failed", "bad_answer"), ("failed", "truncated")}


@pytest.mark.parametrize(
    ("status", "reason"),
    [(101, "refused"), (204, "refused"), (206, "refused"), (599, "server_error"), (600, "refused"), (999, "refused")],
)
async def test_a_status_that_is_no_answer_to_what_was_asked_is_refused(server, fetch, link, status, reason):
    ended = await fetch(link(server.on("/a", good(b"", status=status)), left_s=0.2))

    assert (ended.outcome, ended.reason) == ("failed", reason)


@pytest.mark.parametrize(
    ("length", "reasons"),
    [
        *((value, {"bad_answer"}) for value in ("-5", "1_0", "0x10", "+25", "٣", "25, 26", "9" * 30)),
        ("9" * 18, {"too_large"}),
        ("1", {"truncated", "bad_answer"}),
    ],
)
async def test_a_length_that_is_none_is_a_bad_answer(server, fetch, link, length, reasons):
    ended = await fetch(link(server.on("/a", good(JSON, declared=length)), left_s=0.2))

    assert (ended.outcome, ended.reason in reasons or ended.reason) == ("failed", True)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00" * 1000,
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 -1 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + b"A: b\r\n" * 10_000,
    ],
)
async def test_what_is_no_http_ends_as_a_failed_link_that_somebody_foresaw(server, fetch, link, capsys, head):
    ended = await fetch(link(server.on("/a", raw(head)), left_s=0.3), attempts_max=1)

    assert (ended.outcome, ended.reason != "unprocessable") == ("failed", True)
    assert "fetch_broken" not in capsys.readouterr().out


@pytest.mark.parametrize("answer", [good(JSON, declared=1000), good(JSON, Content_MD5=b64encode(b"0" * 16).decode())])
async def test_an_attempt_that_is_followed_by_another_is_counted_once(server, fetch, link, answer):
    progress = Progress()

    await fetch(link(server.on("/a", answer)), progress=progress, attempts_max=3)

    assert len(server.asked) == 3
    assert progress.retries == 2


async def test_what_nobody_foresaw_is_tried_again(server, fetch, link, stored, monkeypatch):
    breaks = iter([True, False])
    monkeypatch.setattr(Body, "take", lambda self, pieces: 1 / 0 if next(breaks, False) else take(self, pieces))

    ended = await fetch(link(server.on("/a", good(JSON))))

    assert stored() == {ended.body.blob: JSON}


async def test_a_name_without_addresses_is_unreachable(fetch, link):
    rules = AddressRules(("amazonaws.com",))

    ended = await fetch(link("https://b.amazonaws.com/a", left_s=-1), rules=rules, resolver=Names())

    assert (ended.outcome, ended.reason) == ("failed", "unreachable")
