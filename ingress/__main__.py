"""`python -m ingress`."""

import signal
import sys

USAGE = 2


def main() -> int:
    """Run the ingress as the environment says; return the exit code."""
    # Loading takes a second. Until the loop listens there is nothing to end in order, and nothing to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ingress import server  # noqa: PLC0415 - it is what takes the second
    from ingress.preparing import prepare  # noqa: PLC0415
    from ingress.settings import IngressSettings  # noqa: PLC0415
    from models import privacy, settings, telemetry  # noqa: PLC0415
    from models.errors import Misconfigured  # noqa: PLC0415

    privacy.begin()
    try:
        found = settings.load(IngressSettings)
        prepare(found)
    except Misconfigured as error:
        return _complain(error, USAGE)
    telemetry.configure(level=found.log_level, style=found.log_format)
    telemetry.take_crashes()
    try:
        return server.run(found)
    except Misconfigured as error:
        return _complain(error, server.PROBLEM)


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"ingress: {error}\n")  # one write: the log may be shared
    return code


if __name__ == "__main__":
    sys.exit(main())
