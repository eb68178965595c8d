"""What a process says of itself to the one that started it: a line of JSON each, through a pipe that it was handed.

Asked over HTTP, whoever has the port answers, and that may be somebody else's process.
"""

import contextlib
import json
import os

# The descriptor of the pipe; whoever starts a child hands it on with `handed`.
VARIABLE = "METRIPORT_STREAMS_REPORT_FD"


def handed() -> tuple[int, ...]:
    """Return the descriptors that a child must inherit to report to the same place; none if nobody listens."""
    number = os.environ.get(VARIABLE, "")
    return (int(number),) if number.isdigit() else ()


def tell(process: str, state: str, **facts: int) -> None:
    """Say what `process` is: `ready` once it can do its work, `ended` when it was seen to end."""
    line = json.dumps({"process": process, "state": state, **facts}).encode() + b"\n"
    for descriptor in handed():
        # Whoever listened may be gone; the work goes on.
        with contextlib.suppress(OSError):
            os.write(descriptor, line)
