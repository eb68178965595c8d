"""Which build this is."""

from importlib.metadata import PackageNotFoundError, version


def _version() -> str:
    try:
        return version("metriport-streams")
    except PackageNotFoundError:  # run from a folder of sources
        return "unknown"


VERSION = _version()
