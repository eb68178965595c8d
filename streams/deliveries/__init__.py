"""`webhooks` -> one topic per message type, without duplicates; see `streams.deliveries.app`."""

from typing import Any


def __getattr__(name: str) -> Any:  # noqa: ANN401 - Faust's app, made when `faust -A streams.deliveries worker` asks for it
    if name != "app":
        raise AttributeError(name)
    from models.settings import WorkerSettings, load  # noqa: PLC0415 - nothing happens at import
    from streams.deliveries.app import worker  # noqa: PLC0415

    return globals().setdefault("app", worker(load(WorkerSettings)).app)
