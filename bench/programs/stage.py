"""The `deliveries` stage as it runs, without its health port."""

import sys
from pathlib import Path

from models import telemetry
from models.settings import WorkerSettings
from streams.deliveries.app import worker
from streams.engine.app import run

if __name__ == "__main__":
    _, servers, prefix, partitions, folder, *_rest = sys.argv
    telemetry.configure(level="info", style="json")
    run(
        worker(
            WorkerSettings(
                kafka_bootstrap_servers=servers,
                topic_prefix=prefix,
                topic_partitions=int(partitions),
                state_dir=Path(folder),
            )
        )
    )
