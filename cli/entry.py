"""Where the command begins: `metriport-streams` and `python -m cli`. Loads nothing before Ctrl-C is provided for."""

# Not `signal`, which loads others before anything is provided for: Ctrl-C meanwhile would be a traceback.
import _signal as signal  # type: ignore[import-not-found]


def main() -> None:
    """Load the command and run it."""
    # Loading takes a second. There is nothing to end in order yet, and nothing to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cli.main import main as run  # noqa: PLC0415 - it is what takes the second

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
