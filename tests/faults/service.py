"""The running service, hurt for minutes: `python -m tests.faults.service [--full] [--ingress] [--broker] [--seed N]`.

Without any of these it runs the slice that the test suite runs.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from cli import broker
from tests.faults import broker_away, ingress_killed, stages


async def hurt_stages(drill: stages.Drill) -> tuple[dict[str, object], bool]:
    """Kill workers."""
    with tempfile.TemporaryDirectory() as folder:
        async with broker.running(Path(folder)) as kafka:
            report = await stages.run(kafka.bootstrap_servers, drill)
    return report, stages.sound(report)


async def main(arguments: list[str]) -> int:
    """Run the drills that are asked for; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="workers killed 20 times under 50,000 deliveries")
    parser.add_argument("--ingress", action="store_true", help="the ingress killed 20 times under 50,000 deliveries")
    parser.add_argument("--broker", action="store_true", help="the broker away for 60 s under 20 deliveries/s")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    found = {}
    if options.full:
        found["stages"] = await hurt_stages(replace(stages.FULL, seed=options.seed))
    if options.ingress:
        report = await ingress_killed.run(ingress_killed.Drill(seed=options.seed))
        found["ingress"] = report, ingress_killed.sound(report)
    if options.broker:
        report = await broker_away.run(broker_away.Drill(seed=options.seed))
        found["broker"] = report, broker_away.sound(report)
    if not found:
        found["slice"] = await hurt_stages(replace(stages.SLICE, seed=options.seed))
    sys.stdout.write(json.dumps({name: report for name, (report, _) in found.items()}, indent=2) + "\n")
    return 0 if all(sound for _, sound in found.values()) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
