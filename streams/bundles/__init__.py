"""Validate what FHIR bundles hold, match it, and publish what changed; see `streams.bundles.stage`."""

from typing import Any


def __getattr__(name: str) -> Any:  # noqa: ANN401 - Faust's app, made when `faust -A streams.bundles worker` asks for it
    if name != "app":
        raise AttributeError(name)
    from streams.stage import faust_app  # noqa: PLC0415 - nothing happens at import

    return globals().setdefault("app", faust_app("bundles"))
