"""Why a broker did not start, read from its log."""

from pathlib import Path

from cli.broker.errors import BrokerError, DiskFull, JavaTooOld, PortTaken, StartFailed

LOG_BYTES_MAX = 1_000_000


def why(log: Path, *, port: int | None, timeout_s: float) -> BrokerError:
    """Return the error that the end of the log tells of."""
    with log.open("rb") as said:
        text = said.read(LOG_BYTES_MAX).decode(errors="replace")
    if "UnsupportedClassVersionError" in text:
        return JavaTooOld(
            "The Java found is too old for this Kafka. Install Java 17 or newer, or set JAVA_HOME to one."
        )
    if "Address already in use" in text:
        return PortTaken(f"Port {port} is taken. Choose another with --port, or leave it out to get a free one.")
    if "No space left on device" in text:
        return DiskFull(f"The disk with {log.parent} is full. Make room or choose another folder with --data-dir.")
    return StartFailed(f"The broker ended, or did not answer within {timeout_s:.0f} s. Its own words are in {log}.")
