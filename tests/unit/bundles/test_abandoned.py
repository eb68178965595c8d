"""Nobody waits for a bundle any more: its partition went to another worker."""

import asyncio
from contextlib import contextmanager
from threading import Event

import pytest

from streams.bundles.bundle.file import BundleFile, bundle_file
from streams.bundles.bundle.progress import Progress, Unwanted
from streams.bundles.job import BundlesJob, Options
from tests.unit.bundles.stage import LocalValidator, SourceRecord, bundle_of, observation, patient, record_value


def test_an_unwanted_bundle_is_not_read_any_further(tmp_path):
    progress = Progress()
    (tmp_path / "bundle").write_bytes(bundle_of([patient(), observation(1)]))
    with (tmp_path / "bundle").open("rb") as file:
        opened = BundleFile(file.fileno(), progress)
        progress.give_up()

        with pytest.raises(Unwanted):
            list(opened.blocks(block_bytes=2**20, entry_bytes_max=2**20))


async def test_the_thread_lets_go_of_a_bundle_whose_steps_nobody_asks_for(tmp_path):
    (tmp_path / "bundle").write_bytes(bundle_of([observation(number) for number in range(3000)]))
    left = Event()

    class Blobs:
        @contextmanager
        def on_disk(self, key, _progress):
            try:
                with bundle_file(tmp_path / key) as opened:
                    yield opened
            finally:
                left.set()

    options = Options("metriport.", ("Observation",), 100_000, "v1")
    steps = BundlesJob(Blobs(), LocalValidator(), options).process(SourceRecord(record_value("bundle"), 0), _NoState())
    await anext(steps)
    await steps.aclose()

    assert await asyncio.to_thread(left.wait, 20)


class _NoState:
    def get(self, keys):
        return [None] * len(keys)

    def moved(self):
        pass
