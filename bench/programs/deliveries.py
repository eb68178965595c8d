"""The `deliveries` stage as it runs, over a topic: `deliveries.py SERVERS SOURCE PREFIX FOLDER [unwatched]`.

`unwatched`: deliveries are not compared with what is known.
"""

import sys
from dataclasses import replace
from pathlib import Path

import uvloop

from bench.webhooks import PARTITIONS
from models import telemetry
from streams.configuration import engine_settings
from streams.deliveries.drift import Bounds
from streams.deliveries.job import DeliveriesJob
from streams.deliveries.settings import DeliveriesSettings
from streams.engine.app import create, run


def main(servers: str, source: str, prefix: str, folder: str, watched: str = "watched") -> None:
    """Run until ended."""
    uvloop.install()
    telemetry.configure(level="warning", style="json")
    settings = DeliveriesSettings(
        kafka_bootstrap_servers=servers, topic_prefix=prefix, topic_partitions=PARTITIONS, state_dir=Path(folder)
    )
    engine = replace(
        engine_settings("deliveries", [], settings, batch_records_max=settings.batch_records_max), sources=(source,)
    )
    run(create(DeliveriesJob(prefix, bounds=Bounds() if watched == "watched" else None), engine))


if __name__ == "__main__":
    main(*sys.argv[1:6])
