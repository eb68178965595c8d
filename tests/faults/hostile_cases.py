"""Links and bulk results that want to do harm: each with what may be said of it once it has ended."""

import asyncio
import gzip
import random
import zlib
from collections.abc import Iterator
from typing import NamedTuple, get_args

from models.reasons import LinkReason
from streams.links import content_type
from streams.links.publishing import bulk_csv
from tests.links.misbehaving import Answer, drip, endless, hang, preamble, raw

DOCUMENT = b'<?xml version="1.0"?><ClinicalDocument/>' + b" " * 500
PATIENT_ID = "01936b20-48f8-7d49-8bc6-50e0c4986011"
ANY = frozenset(get_args(LinkReason)) - {"unprocessable"} | {"stored"}
STORED = frozenset({"stored"})
NEVER: frozenset[str] = frozenset()
LATE = frozenset({"too_slow", "timed_out"})  # as any answer may be on a busy machine
REFUSED = frozenset({"bad_link", "address_refused"})


class Case(NamedTuple):
    """One link: where it points at, who answers, and the reasons (or `stored`) with which it may end."""

    name: str
    url: str | None = None
    answer: Answer | None = None
    may_be: frozenset[str] = ANY


def links() -> Iterator[Case]:
    """Yield every hostile link."""
    for kind, cases, may_be in (("url", _urls(), NEVER), ("name", _names(), NEVER), ("answer", _answers(), LATE)):
        for number, case in enumerate(cases):
            yield case._replace(name=f"{kind}-{number}-{case.name}", may_be=case.may_be | may_be)


# --- what is written in the delivery ---------------------------------------------------------------------------------

_WRITTEN = """
https://s3.amazonaws.com:99999/x | https://s3.amazonaws.com:abc/x
https://s3.amazonaws.com:-1/x | https://[é:1]c:8@/x
https://xn--.amazonaws.com/ | https://xn--a.amazonaws.com/ | https://é.amazonaws.com/
https://[::1/x | https://[::1]/x | https://[::ffff:127.0.0.1]/x | https://[fe80::1%25eth0]/x | https://[v1.x]/x
https://a:b@s3.amazonaws.com/x | https://:@s3.amazonaws.com/x
https://@s3.amazonaws.com:443@127.0.0.1/ | https://127.0.0.1/
https://s3.amazonaws.com@evil.example/
https://s3.amazonaws.com%2eevil.example/ | https://s3.amazonaws.com.evil.example/
https://2130706433/ | https://0x7f.1/ | https://017700000001/
https://127.1/ | https://[::]/ | https://0/ | https:///x
http://s3.amazonaws.com/x | ftp://s3.amazonaws.com/x
file:///etc/passwd | gopher://s3.amazonaws.com/ | data:text/xml,x
javascript:alert(1) | //s3.amazonaws.com/x | s3.amazonaws.com/x
https:s3.amazonaws.com | https:/s3.amazonaws.com/x | x | /
https://s3.amazonaws.com:22/x | https://s3.amazonaws.com:8443/x
https://s3.amazonaws.com:0/x | https://s3.amazonaws.com:٤٤٣/
https://s3..amazonaws.com/
https://.amazonaws.com/
https://-.amazonaws.com/ | https://*.amazonaws.com/ | https://amazonaws.com../
https://s3。amazonaws.com/
https://ｓ３.amazonaws.com/ | https://s3.amazonaws.com\\@evil.example/ | https://s3 .amazonaws.com/
https://%73%33.amazonaws.com/ | https://[s3.amazonaws.com]/ | https://s3.amazonaws.com]/
https://[]/ | https://[/ | https://]/
https://① .amazonaws.com/
https://ß.amazonaws.com/
https://İ.amazonaws.com/ | https://‮moc.swanozama.amazonaws.com/
HTTPS://S3.AMAZONAWS.COM:99999/ | hTTps://[é:1]c:8@/ | https://?x
https://#x | https://:443/ | https://user@/x | ://x
"""  # noqa: RUF001, PLE2502 - that is what they are made of
_BITS = (
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
        "\t",
    ),
    *("s3", "nx.amazonaws.com", ".amazonaws.com", "xn--", "é", "\x00", "\n", "\u202e", "。", "ß", "\u200d", "\x7f"),
    *(":443", ":99999", ":-1", ":abc", "127.0.0.1", "0x7f.1", "v1.", "a" * 64, "a" * 300, "😀"),
)


def _urls() -> Iterator[Case]:
    for url in (part.strip() for line in _WRITTEN.strip().splitlines() for part in line.split(" | ")):
        yield Case("written", url, None, REFUSED)
    for length in (300, 9_000, 17_000, 500_000):
        yield Case("long", f"https://nx.amazonaws.com/{'a' * length}", None, frozenset({"bad_link", "unreachable"}))
        yield Case("long-host", f"https://{'a' * length}.amazonaws.com/", None, REFUSED)
        yield Case("long-port", f"https://s3.amazonaws.com:{'4' * length}/", None, REFUSED)
        yield Case("long-user", f"https://{'u' * length}@s3.amazonaws.com/", None, REFUSED)
    yield Case("idna", "https://xn--80ak6aa92e.amazonaws.com/", None, ANY - STORED)
    yield Case("empty", "", None, frozenset({"no_link"}))
    yield Case("none", None, None, frozenset({"no_link"}))
    chance = random.Random(9)
    for _ in range(60):
        made = "".join(chance.choices(_BITS, k=chance.randint(1, 10)))
        yield Case("made", chance.choice(("", "https://", "https://s3.amazonaws.com")) + made, None, ANY)


# --- what names lead to ----------------------------------------------------------------------------------------------

# The first label of a name says what it resolves to; see `hostile_links.Names`.
_NAMES = (
    *(
        "127-0-0-1",
        "10-0-0-1",
        "169-254-169-254",
        "192-0-0-1",
        "192-0-0-192",
        "100-100-100-200",
        "0-0-0-0",
        "224-0-0-1",
    ),
    *("168-63-129-16", "255-255-255-255", "192-168-1-1", "172-16-0-1", "198-18-0-1", "mapped", "nat64", "six-to-four"),
    *("teredo", "loopback6", "link-local", "mixed", "many", "odd", "empty", "text", "surrogate"),
)
_AWAY = ("nx", "again", "value", "unicode", "hang")


def _names() -> Iterator[Case]:
    for name in _NAMES:
        yield Case(name, f"https://{name}.amazonaws.com/x", None, ANY - STORED)
    for name in _AWAY:
        yield Case(name, f"https://{name}.amazonaws.com/x", None, ANY - STORED)
    yield Case("recursion", "https://recursion.amazonaws.com/x", None, frozenset({"unprocessable"}))


# --- what servers answer ---------------------------------------------------------------------------------------------


def _head(status: object = 200, **headers: object) -> bytes:
    lines = [f"HTTP/1.1 {status} X".encode()]
    for name, value in headers.items():
        lines.append(
            name.replace("_", "-").encode() + b": " + (value if isinstance(value, bytes) else str(value).encode())
        )
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def _good(body: bytes = DOCUMENT, **headers: object) -> bytes:
    return _head(Content_Length=len(body), **headers) + body


def _answers() -> Iterator[Case]:
    yield from _statuses()
    yield from _headers()
    yield from _lengths()
    yield from _gzips()
    yield from _cut()
    yield from _endless()


def _statuses() -> Iterator[Case]:
    numbers = (*range(201, 209), 226, *range(300, 309), *range(400, 419), 421, 422, 423, 425, 426, 428, 429, 431, 451)
    odd = (100, 101, 102, 103, 199, 299, 499, 500, 501, 502, 503, 504, 505, 511, 520, 599, 600, 700, 999)
    for status in (*numbers, *odd, 0, 1, "abc", "-1", "2000", "٢٠٠", "+200", "2 0 0", ""):
        yield Case(f"status {status}", None, raw(_head(status, Content_Length=2) + b"no"), ANY - STORED)
    for word in ("Request has expired", "ExpiredToken"):
        yield Case(word, None, raw(_head(400, Content_Length=len(word)) + word.encode()), frozenset({"refused"}))
    yield Case("endless redirect", None, endless(b"x" * 1000, status=302), frozenset({"redirected"}))
    yield Case("endless error", None, endless(b"x", status=404, every_s=0.1), ANY - STORED)


def _headers() -> Iterator[Case]:
    values = (b"\xff", b'"\xff"', b"\x80\x81", b"", b"x" * 5_000, b"a, b", "é".encode(), b"9" * 30, b"=", b"AAAA")
    for name in ("ETag", "Last_Modified", "Content_MD5", "x_amz_checksum_sha256", "Content_Type", "Set_Cookie", "Date"):
        for value in values:
            yield Case(f"header {name}", None, raw(_good(**{name: value})), STORED)
    for value in values:
        yield Case("encoding", None, raw(_good(Content_Encoding=value)), ANY)
        yield Case("transfer", None, raw(_head(Transfer_Encoding=value) + DOCUMENT), ANY)
    yield Case("many headers", None, raw(_head() + b"A: b\r\n" * 100_000), ANY)
    yield Case(
        "long header", None, raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 10_000_000 + b"\r\n\r\n"), frozenset({"bad_answer"})
    )
    yield Case("long reason", None, raw(b"HTTP/1.1 200 " + b"b" * 10_000_000 + b"\r\n\r\n"), frozenset({"bad_answer"}))
    for bytes_ in (
        b"",
        b"\x00" * 1_000,
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\r\n" * 1_000,
        b"HTTP/9.9 200 OK\r\n\r\n",
    ):
        yield Case("no http", None, raw(bytes_), ANY - STORED)


def _lengths() -> Iterator[Case]:
    for value in (
        "-1",
        "-0",
        "+600",
        "0x10",
        "1_0",
        "٣",
        "1e3",
        "9" * 18,
        "9" * 30,
        "1, 2",
        "1 2",
        "",
        "1",
        "539",
        "541",
        "100000",
    ):
        yield Case(f"length {value}", None, raw(_head(Content_Length=value) + DOCUMENT), ANY)
    twice = b"HTTP/1.1 200 OK\r\nContent-Length: 540\r\nContent-Length: 5\r\n\r\n"
    yield Case("two lengths", None, raw(twice + DOCUMENT), ANY)
    for chunks in (
        b"zz\r\n",
        b"f" * 40 + b"\r\n",
        b"-1\r\nx\r\n",
        b"5\r\nabc",
        b"1\r\nxx\r\n",
        b"0\r\n" + b"A: b\r\n" * 50_000,
        b"1;" + b"x" * 100_000,
    ):
        yield Case("chunks", None, raw(_head(Transfer_Encoding="chunked") + chunks), ANY)
    both = _head(Transfer_Encoding="chunked", Content_Length=5) + b"3\r\nabc\r\n0\r\n\r\n"
    yield Case("chunks and length", None, raw(both), ANY)


def _gzips() -> Iterator[Case]:
    whole = gzip.compress(DOCUMENT)
    for place in range(0, len(whole), 5):
        yield Case("gzip cut", None, raw(_good(whole[:place], Content_Encoding="gzip")), ANY)
        odd = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        yield Case("gzip flipped", None, raw(_good(odd, Content_Encoding="gzip")), ANY)
    yield Case("gzip members", None, raw(_good(gzip.compress(b"x") * 20_000, Content_Encoding="gzip")), ANY)
    yield Case("gzip empty members", None, raw(_good(gzip.compress(b"") * 50_000, Content_Encoding="gzip")), ANY)
    yield Case("gzip and more", None, raw(_good(whole + b"garbage" * 1_000, Content_Encoding="gzip")), ANY)
    yield Case("gzip name", None, raw(_good(b"\x1f\x8b\x08\x08" + b"n" * 1_000_000, Content_Encoding="gzip")), ANY)
    yield Case("gzip twice", None, raw(_good(gzip.compress(whole), Content_Encoding="gzip, gzip")), ANY)
    bomb = _bomb(200)
    yield Case("bomb", None, raw(_good(bomb, Content_Encoding="gzip")), frozenset({"too_inflated"}))
    yield Case("bomb in bomb", None, raw(_good(gzip.compress(bomb), Content_Encoding="gzip")), ANY)
    yield Case("not gzip", None, raw(_good(DOCUMENT, Content_Encoding="gzip")), STORED)


def _bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(2**20)
    return b"".join([*(packer.compress(zeros) for _ in range(mebibytes)), packer.flush()])


def _cut() -> Iterator[Case]:
    whole = _good()
    for place in (*range(0, 70, 5), 80, 100, len(whole) - 1):
        yield Case(f"closed at {place}", None, raw(whole[:place]), ANY - STORED)
        yield Case(f"reset at {place}", None, _reset_after(whole[:place]), ANY - STORED)


def _endless() -> Iterator[Case]:
    slow = frozenset({"too_slow", "timed_out", "bad_answer", "truncated", "too_large"})
    yield Case("hang", None, hang(), frozenset({"timed_out"}))
    yield Case("drip", None, drip(0.2), slow)
    yield Case("endless", None, endless(bytes(2**20)), frozenset({"too_large"}))
    for every_s in (0.0, 0.1):
        yield Case("1xx", None, preamble(b"100 C\r\n\r\nHTTP/1.1 ", every_s), slow)
        yield Case("103", None, preamble(b"103 C\r\nLink: x\r\n\r\nHTTP/1.1 ", every_s), slow)
        yield Case("headers", None, preamble(b"200 OK\r\nA: b", every_s), slow)
        yield Case("reason", None, preamble(b"200 OK", every_s), slow)
        yield Case("line ends", None, preamble(b"\r\n", every_s), slow)
    yield Case("decoration", None, _decoration, slow)
    yield Case("trailers", None, _trailers, slow)


def _reset_after(some: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(some)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    return answer


async def _decoration(writer: asyncio.StreamWriter) -> None:
    writer.write(_head(Transfer_Encoding="chunked") + b"1\r\nx\r\n5;")
    while True:
        writer.write(b"a=b;" * 1_000)
        await writer.drain()
        await asyncio.sleep(0.01)


async def _trailers(writer: asyncio.StreamWriter) -> None:
    writer.write(_head(Transfer_Encoding="chunked") + b"1\r\nx\r\n0\r\n")
    while True:
        writer.write(b"A: b\r\n" * 1_000)
        await writer.drain()
        await asyncio.sleep(0.01)


# --- bulk results ----------------------------------------------------------------------------------------------------

_HEAD = b"externalid,name,metriportId,status,reason\n"
_ROW = b"MRN-1,Ann,%s,successful,\n" % PATIENT_ID.encode()


def files() -> Iterator[bytes]:
    """Yield every hostile bulk result."""
    yield from (
        b"",
        b"\n",
        b"\r\n" * 100,
        _HEAD,
        _HEAD.strip(),
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf" + _HEAD + _ROW,
        b"\x00" * 5_000,
    )
    yield from (
        b"<html>",
        b"{}",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"\x1f\x8b",
        gzip.compress(_HEAD + _ROW),
        b"\x89PNG\r\n\x1a\n",
    )
    yield from (b"a" * 20_000_000, _HEAD + b"b" * 20_000_000, _HEAD + _ROW + b'"' * 5_000_000 + b"\n" + _ROW)
    yield from ((_HEAD + _ROW * 3).replace(b"\n", end) for end in (b"\r", b"\r\n", b"\n\n", b"\x0b", b"\xe2\x80\xa8"))
    for names in (
        b"a,a,a (2)",
        b",,,",
        b"a" * 60_000,
        b",".join([b"c"] * 1_001),
        b'"a"',
        b"\xff",
        b"metriportId",
        b"a\x00",
    ):
        yield names + b",metriportId,status,reason\n" + b"1,2,3,,waiting,\n" * 3
    for row in (
        b"\xff",
        b'"',
        b'""',
        b",",
        b",,waiting,",
        b'x,"',
        b"=cmd|x",
        b"a\x00b",
        b"",
        b'"a,b","c,d",,waiting,',
        b"x" * 70_000,
    ):
        yield _HEAD + _ROW + row + b"\n" + _ROW
    for piece in (b',,failed,"', b'",', b',"', b'""', b",,failed,x", b'"a,"', b'",,waiting,', b'a"b,', b',"x",', b"\t"):
        yield _HEAD + (piece * 70_000)[:65_000] + b"\n" + _ROW
    chance = random.Random(7)
    for size in (10, 100, 1_000, 5_000):
        yield _HEAD + b"\n".join(bytes(chance.choices(b'",\nab;\r\xff 0', k=60)) for _ in range(size))
        yield _HEAD + _ROW * size + chance.randbytes(size)
    yield b"".join(b"%d,%s" % (number, _HEAD) for number in range(5))


def rows(file: bytes) -> int | None:
    """Return how many rows a result has, published or set aside one by one; None if it is set aside as a whole."""
    if content_type.contradicts("text", file[: content_type.HEAD_BYTES]) or not file:
        return None
    head, *lines = file.split(b"\n")
    try:
        bulk_csv.header(head)
    except bulk_csv.NotAResult:
        return None
    return len(lines) - (lines[-1:] == [b""])


def serving(file: bytes) -> Answer:
    """Return the answer that has a file."""
    return raw(_good(file))
