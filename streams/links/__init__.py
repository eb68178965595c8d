"""Fetches what the links in a delivery point at, before they die; see `streams.links.app`."""

from typing import Any


def __getattr__(name: str) -> Any:  # noqa: ANN401 - Faust's app, made when `faust -A streams.links worker` asks for it
    if name != "app":
        raise AttributeError(name)
    from models.settings import WorkerSettings, load  # noqa: PLC0415 - nothing happens at import
    from streams.links.app import worker  # noqa: PLC0415

    return globals().setdefault("app", worker(load(WorkerSettings)).app)
