"""The ingress beside the least that could be called one: a handler that checks the HMAC and awaits Kafka's answer.

Both run in processes of their own against one broker, in turn, many short rounds; a third process posts over kept-alive
connections. What is printed are ratios within a round, the median and the spread: this machine's speed cancels out.
"""

import argparse
import asyncio
import contextlib
import hmac
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import uvloop
from aiohttp import ClientSession, TCPConnector, web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli import broker
from models import signature

KEY = b"wh-key_0123456789abc"
TOPIC = "metriport.webhooks"
PARTITIONS = 12
CONNECTIONS = 64
GOAL_SPEED = 0.8
GOAL_CPU = 1.3


async def bare(port: int) -> None:
    """Serve the bare handler; its producer is set up as ours is."""
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=256 * 2**10,
        max_request_size=40 * 2**20,
    )
    await producer.start()

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        offered = request.headers.get(signature.HEADER, "")
        if not hmac.compare_digest(hmac.digest(KEY, body, "sha256").hex(), offered):
            return web.Response(status=401)
        await producer.send_and_wait(TOPIC, body)
        return web.Response(body=b"{}")

    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(client_max_size=32 * 2**20)
    app.router.add_post("/webhooks/metriport", receive)
    app.router.add_get("/ready", ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def bodies(size: int, count: int) -> list[tuple[bytes, str]]:
    """Return deliveries of `size` bytes, each with ids of its own, and their signatures."""
    found = []
    for _ in range(count):
        meta = {"messageId": str(uuid.uuid4()), "when": "2025-10-30T12:00:00.123Z", "type": "patient.admit"}
        delivery = {"meta": meta, "payload": {"patientId": str(uuid.uuid4()), "url": ""}}
        delivery["payload"]["url"] = "u" * (size - len(json.dumps(delivery)))
        body = json.dumps(delivery).encode()
        found.append((body, signature.sign(body, key=KEY)))
    return found


async def load(port: int, size: int, seconds: float) -> int:
    """Post as fast as the answers come; return how many were answered 200."""
    wanted = bodies(size, 2000)
    end, done, turn = time.monotonic() + seconds, 0, 0
    async with ClientSession(connector=TCPConnector(limit=CONNECTIONS)) as session:

        async def one_connection() -> None:
            nonlocal done, turn
            while time.monotonic() < end:
                body, signed = wanted[turn % len(wanted)]
                turn += 1
                url = f"http://127.0.0.1:{port}/webhooks/metriport"
                async with session.post(url, data=body, headers={signature.HEADER: signed}) as response:
                    await response.read()
                    assert response.status == 200, response.status
                    done += 1

        await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    return done


def load_process(port: int, size: int, seconds: float, results: "multiprocessing.Queue[int]") -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results.put(runner.run(load(port, size, seconds)))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measured(server: "Server", size: int, seconds: float) -> tuple[float, float]:
    """Return requests per second, and the server's CPU seconds per thousand requests."""
    results: multiprocessing.Queue[int] = multiprocessing.get_context("spawn").Queue()
    process = multiprocessing.get_context("spawn").Process(
        target=load_process, args=(server.port, size, seconds, results)
    )
    before = cpu_seconds(server.process.pid)
    process.start()
    done = await asyncio.to_thread(results.get)
    await asyncio.to_thread(process.join)
    return done / seconds, (cpu_seconds(server.process.pid) - before) / done * 1000


class Server:
    """One of the two, running."""

    def __init__(self, name: str, port: int, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.port = port
        self.process = subprocess.Popen(command, env=environment)

    async def until_ready(self) -> None:
        """Wait until it would take a request to Kafka."""
        async with ClientSession() as session:
            while True:
                with contextlib.suppress(OSError):
                    async with session.get(f"http://127.0.0.1:{self.port}/ready") as response:
                        if response.status == 200 and 'spool"}' not in await response.text():
                            return
                await asyncio.sleep(0.1)

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM if self.name == "ours" else signal.SIGKILL)
        self.process.wait()


async def compare(*, rounds: int, seconds: float, sizes: list[int]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with broker.running(Path(folder) / "broker") as kafka:
            admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
            await admin.start()
            await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1, topic_configs={"retention.bytes": "67108864"})])
            await admin.close()
            servers = _started(kafka.bootstrap_servers, folder)
            try:
                for server in servers:
                    await server.until_ready()
                    await measured(server, 1000, 2)
                return max([await _rounds(servers, size, rounds, seconds) for size in sizes])
            finally:
                for server in servers:
                    server.stop()


def _started(servers: str, folder: str) -> list[Server]:
    ports = [_free_port(), _free_port()]
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "METRIPORT_WEBHOOK_KEYS": KEY.decode(),
        "SPOOL_DIR": f"{folder}/spool",
        "INGRESS_HOST": "127.0.0.1",
        "INGRESS_PORT": str(ports[1]),
    }
    return [
        Server("bare", ports[0], [sys.executable, "-m", "bench.ingress", "--bare", str(ports[0])], environment),
        Server("ours", ports[1], [sys.executable, "-m", "ingress"], environment),
    ]


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _rounds(servers: list[Server], size: int, rounds: int, seconds: float) -> int:
    speeds, costs = [], []
    for number in range(rounds):
        found = {}
        for server in servers if number % 2 else reversed(servers):
            found[server.name] = await measured(server, size, seconds)
        speeds.append(found["ours"][0] / found["bare"][0])
        costs.append(found["ours"][1] / found["bare"][1])
        print(
            f"  {size:>6} bytes  bare {found['bare'][0]:7.0f}/s {found['bare'][1]:.3f} s/1000"
            f"   ours {found['ours'][0]:7.0f}/s {found['ours'][1]:.3f} s/1000",
            flush=True,
        )
    speed, cost = statistics.median(speeds), statistics.median(costs)
    print(
        f"ingress, {size} bytes: requests/s {speed:.2f} of bare ({min(speeds):.2f} to {max(speeds):.2f}; goal"
        f" {GOAL_SPEED}), CPU per request {cost:.2f} times ({min(costs):.2f} to {max(costs):.2f}; goal {GOAL_CPU})"
    )
    return int(speed < GOAL_SPEED or cost > GOAL_CPU)


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison; exit code 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="bench.ingress", description=__doc__)
    parser.add_argument("--bare", type=int, metavar="PORT", help="only serve the bare handler")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 20_000], metavar="BYTES")
    found = parser.parse_args(arguments)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if found.bare is not None:
            runner.run(bare(found.bare))
            return 0
        return runner.run(compare(rounds=found.rounds, seconds=found.seconds, sizes=found.sizes))


if __name__ == "__main__":
    sys.exit(main())
