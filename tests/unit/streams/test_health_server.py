"""What a stage answers to the operator's tools, and to strangers who reach the same port."""

import asyncio
import contextlib
import json

import pytest
from aiohttp import ClientSession, web

from streams import health_server
from streams.health_server import CONNECTIONS_MAX, HealthServer, as_json

SECRET = "p-1-secret"


def broken():
    raise ValueError(SECRET)


@pytest.fixture
async def port():
    """Port of a server with one answer, and one that fails."""
    answers = {"/live": lambda: as_json({"live": True}), "/broken": broken, "/text": lambda: web.Response(text="x")}
    server = await asyncio.get_running_loop().create_server(HealthServer(answers), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def said(port, sent):
    """Send bytes and return the status, the headers and the body of what is answered before the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split(b" ")[1]), head, body


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /live HTTP/1.1", 200, {"live": True}),
        (b"GET /p-1-secret HTTP/1.1", 404, {"error": "not_found"}),
        (b"GET /metrics/../live HTTP/1.1", 404, {"error": "not_found"}),
        (b"POST /live HTTP/1.1", 405, {"error": "method_not_allowed"}),
        (b"GET /broken HTTP/1.1", 503, {"error": "failed"}),
        (b"p-1-secret", 400, {"error": "bad_request"}),
        (b"GET /live HTTP/9.9-p-1-secret", 400, {"error": "bad_request"}),
        (b"GET /live HTTP/1.1\r\nx-odd p-1-secret", 400, {"error": "bad_request"}),
        (b"GET /live HTTP/1.1\r\nx-long: " + b"p-1-secret" * 5000, 400, {"error": "bad_request"}),
    ],
)
async def test_every_answer_is_json_and_quotes_nothing(port, capfd, request_line, status, body):
    answered, head, found = await said(port, request_line + b"\r\nHost: x\r\n\r\n")

    assert (answered, json.loads(found)) == (status, body)
    assert b"Server: metriport-streams" in head
    assert SECRET not in (head + found).decode() + str(capfd.readouterr())


async def test_a_head_request_has_no_body(port):
    assert (await said(port, b"HEAD /live HTTP/1.1\r\nHost: x\r\n\r\n"))[2] == b""


async def test_strangers_who_hold_all_connections_keep_nobody_out(port):
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX + 10)]

    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/live") as response:
        assert response.status == 200
    with contextlib.suppress(ConnectionResetError):
        assert await held[0][0].read() == b""  # the oldest made room
    for _, writer in held:
        writer.close()


async def test_a_connection_that_says_nothing_is_ended(port, monkeypatch):
    monkeypatch.setattr(health_server, "CONNECTION_S_MAX", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /live HT")

    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
