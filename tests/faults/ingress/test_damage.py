"""A spool whose bytes have changed while the ingress was down."""

import asyncio
import json
import os
import sys

from .conftest import PATIENTS, acknowledged

NOBODY = "127.0.0.1:9"
COUNT = 43 * PATIENTS


async def command(*arguments, servers, folder):
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": servers, "SPOOL_DIR": str(folder)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode, json.loads(output)


async def test_one_flipped_bit_costs_one_delivery_at_most_and_is_told_until_somebody_deals_with_it(
    kafka, start, published, tmp_path
):
    first = await start(NOBODY)
    # One of each patient at a time: their order is known, and many transactions are written.
    for number in range(0, COUNT, PATIENTS):
        await asyncio.gather(*(first.post(number + each) for each in range(PATIENTS)))
    await first.kill()
    journal = tmp_path / "spool" / "spool.sqlite-wal"
    data = bytearray(journal.read_bytes())
    data[len(data) // 3] ^= 4
    journal.write_bytes(data)

    second = await start(kafka.bootstrap_servers)
    said = await second.until(path="kafka", kafka="ok")
    found = await published(kafka)

    wanted = acknowledged(first)
    assert sum(len(ids) for ids in wanted.values()) == COUNT
    lost = {patient: [each for each in ids if each not in found[patient]] for patient, ids in wanted.items()}
    assert sum(len(ids) for ids in lost.values()) <= 1
    assert found == {patient: [each for each in ids if each not in lost[patient]] for patient, ids in wanted.items()}
    assert (said["status"], said["set_aside"], await second.metric("spool_damaged_total")) == (200, 1, 1)

    # Beside the running ingress.
    code, [told] = await command("spool", "list", "--json", servers=NOBODY, folder=journal.parent)
    assert (code, told["state"], told["moved"]) == (0, "salvaged", COUNT - told["missing"])
    code, [told] = await command("spool", "salvage", "--json", servers=kafka.bootstrap_servers, folder=journal.parent)
    assert (code, told["sent"], told["state"]) == (int(told["missing"] > 0), 0, "dealt with")
    async with asyncio.timeout(10):
        while "set_aside" in await second.ready():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
