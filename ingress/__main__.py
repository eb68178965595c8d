"""`python -m ingress`."""

import sys

from ingress import server
from models import privacy, settings, telemetry
from models.errors import Misconfigured

USAGE = 2


def main() -> int:
    """Run the ingress as the environment says; return the exit code."""
    privacy.begin()
    try:
        found = settings.load(settings.IngressSettings)
    except Misconfigured as error:
        return _complain(error, USAGE)
    telemetry.configure(level=found.log_level, style=found.log_format)
    try:
        return server.run(found)
    except Misconfigured as error:
        return _complain(error, server.PROBLEM)


def _complain(error: Misconfigured, code: int) -> int:
    sys.stderr.write(f"ingress: {error}\n")  # one write: the log may be shared
    return code


if __name__ == "__main__":
    sys.exit(main())
