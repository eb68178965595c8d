"""A broker that freezes, dies or was never there; every answer is written down and checked afterwards."""

import asyncio
import os
import signal

from cli import broker

from .conftest import Ingress, acknowledged, create_topic, send_steadily


async def watched(ingress: Ingress, pings: list[float], said: list[dict[str, object]]) -> None:
    while True:
        said.append(await ingress.ready())
        pings.append(await ingress.ping())
        await asyncio.sleep(0.2)


async def test_a_frozen_broker_is_not_noticed_by_the_sender(kafka, start, published):
    ingress, pings, said = await start(kafka.bootstrap_servers), [], []
    await ingress.until(path="kafka")
    watching = asyncio.create_task(watched(ingress, pings, said))
    sending = asyncio.create_task(send_steadily(ingress, seconds=9))

    await asyncio.sleep(1)
    os.kill(kafka.pid, signal.SIGSTOP)
    await asyncio.sleep(6)
    os.kill(kafka.pid, signal.SIGCONT)

    await sending
    await ingress.until(path="kafka", kafka="ok")
    watching.cancel()
    assert [answer.status for answer in ingress.answers] == [200] * 180
    assert max(answer.seconds for answer in ingress.answers) < 1.5
    assert sum(answer.seconds > 0.1 for answer in ingress.answers) < 40
    assert max(pings) < 0.5
    assert {(fact["status"], fact["ready"]) for fact in said} == {(200, True)}
    assert {fact["path"] for fact in said} == {"kafka", "spool"}
    assert await ingress.metric("producer_replaced_total") >= 1
    assert await published(kafka) == acknowledged(ingress)


async def test_a_killed_broker_is_not_noticed_by_the_sender(tmp_path, start, published):
    running = await broker.start(tmp_path / "broker")
    await create_topic(running.bootstrap_servers)
    ingress = await start(running.bootstrap_servers)
    await ingress.until(path="kafka")
    sending = asyncio.create_task(send_steadily(ingress, seconds=6))

    await asyncio.sleep(1)
    os.kill(running.pid, signal.SIGKILL)
    await sending
    await running.stop()
    running = await broker.start(tmp_path / "broker", port=int(running.bootstrap_servers.rsplit(":", 1)[1]))

    await ingress.until(path="kafka", kafka="ok")
    assert [answer.status for answer in ingress.answers] == [200] * 120
    assert max(answer.seconds for answer in ingress.answers) < 1.5
    assert await published(running) == acknowledged(ingress)
    await running.stop()


async def test_a_broker_that_is_missing_at_the_start_is_not_noticed_by_the_sender(start):
    ingress = await start("127.0.0.1:9")

    answers = [await ingress.post(number) for number in range(20)]

    assert [answer.status for answer in answers] == [200] * 20
    assert await ingress.ready() == {"status": 200, "ready": True, "kafka": "away", "spool": "ok", "path": "spool"}


async def test_a_missing_topic_is_not_created_and_the_deliveries_wait_for_it(kafka, start):
    ingress = await start(kafka.bootstrap_servers, TOPIC_PREFIX="elsewhere.")
    await ingress.until(kafka="topic_missing")

    answer = await ingress.post(1)

    assert answer.status == 200
    assert (await ingress.ready())["path"] == "spool"


async def test_a_full_spool_refuses_at_once_and_takes_up_again_without_a_restart(kafka, start, published):
    ingress = await start(kafka.bootstrap_servers, SPOOL_BYTES_MAX=2**20, BODY_BYTES_MAX=2**18)
    await ingress.until(path="kafka")
    os.kill(kafka.pid, signal.SIGSTOP)
    await ingress.post(0)

    for number in range(1, 80):
        await ingress.post(number, body_bytes=20_000)
    full = await ingress.ready()
    os.kill(kafka.pid, signal.SIGCONT)
    await ingress.until(path="kafka", kafka="ok", spool="ok")
    await ingress.post(80)

    statuses = [answer.status for answer in ingress.answers]
    assert set(statuses) == {200, 503}
    assert statuses[-1] == 200
    assert max(answer.seconds for answer in ingress.answers if answer.status == 503) < 0.5
    assert (full["status"], full["ready"], full["spool"]) == (503, False, "full")
    assert await published(kafka) == acknowledged(ingress)
