"""The ingress killed, stopped, started twice or started wrongly."""

import asyncio
import os
import signal
import socket
from urllib.parse import urlsplit

import pytest

from .conftest import acknowledged, send_steadily


async def test_an_ingress_killed_five_times_loses_nothing_it_answered_200_to(kafka, start, published):
    ingresses = []
    for run in range(5):
        ingress = await start(kafka.bootstrap_servers)
        ingresses.append(ingress)
        sending = asyncio.create_task(send_steadily(ingress, seconds=1, per_second=100, first=run * 1000))
        await asyncio.sleep(0.5 + run * 0.1)
        await ingress.kill()
        await sending
    last = await start(kafka.bootstrap_servers)
    await last.until(path="kafka", kafka="ok")

    found = await published(kafka)

    wanted = acknowledged(*ingresses)
    assert sum(len(ids) for ids in wanted.values()) > 100
    assert {patient: sorted(set(ids) - set(found[patient])) for patient, ids in wanted.items()} == {
        patient: [] for patient in wanted
    }


async def test_an_ingress_killed_while_it_spools_and_drains_loses_nothing(kafka, start, published):
    first = await start(kafka.bootstrap_servers)
    await first.until(path="kafka")
    os.kill(kafka.pid, signal.SIGSTOP)
    await send_steadily(first, seconds=2, per_second=50)
    await first.kill()
    os.kill(kafka.pid, signal.SIGCONT)
    second = await start(kafka.bootstrap_servers)
    await send_steadily(second, seconds=0.2, per_second=50, first=1000)
    await second.kill()
    third = await start(kafka.bootstrap_servers)
    await third.until(path="kafka", kafka="ok")

    found = await published(kafka)

    assert found == acknowledged(first, second)


async def test_sigterm_finishes_what_is_in_flight_and_exits_0(kafka, start):
    ingress = await start(kafka.bootstrap_servers)
    await ingress.until(path="kafka")
    os.kill(kafka.pid, signal.SIGSTOP)
    posts = [asyncio.create_task(ingress.post(number)) for number in range(20)]
    await asyncio.sleep(0.3)

    ingress.process.terminate()

    assert [answer.status for answer in await asyncio.gather(*posts)] == [200] * 20
    assert await asyncio.wait_for(ingress.process.wait(), 10) == 0
    assert "Traceback" not in ingress.log.read_text()


async def test_a_second_ingress_on_the_same_spool_says_so_and_ends(kafka, start):
    await start(kafka.bootstrap_servers)

    second = await start(kafka.bootstrap_servers)

    assert await second.process.wait() == 1
    assert "in use by another ingress" in second.log.read_text()


@pytest.mark.parametrize(("soft", "hard"), [(256, 4096), (256, 256)], ids=["can be raised", "cannot be raised"])
async def test_idle_connections_take_no_descriptor_from_a_delivery(start, soft, hard):
    ingress = await start("127.0.0.1:9", descriptors=(soft, hard))
    address = urlsplit(ingress.url)
    idle = [socket.create_connection((address.hostname, address.port)) for _ in range(400)]

    answers = [await ingress.post(number) for number in range(50)]

    assert [answer.status for answer in answers] == [200] * 50
    assert ("connections_limited" in ingress.log.read_text()) is (hard == 256)
    for connection in idle:
        connection.close()


async def test_a_port_that_is_taken_is_said(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        ingress = await start("127.0.0.1:9", INGRESS_PORT=taken.getsockname()[1])

        assert await ingress.process.wait() == 1
        assert "is taken by another process" in ingress.log.read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [("INGRESS_PORT", "-1"), ("KAFKA_BOOTSTRAP_SERVERS", "nowhere"), ("METRIPORT_WEBHOOK_KEYS", "")],
)
async def test_a_wrong_setting_is_named(start, name, value):
    ingress = await start("127.0.0.1:9", **{name: value})

    assert await ingress.process.wait() == 2
    said = ingress.log.read_text()
    assert name in said
    assert "Traceback" not in said
