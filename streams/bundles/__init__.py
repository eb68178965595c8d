"""What the FHIR bundles hold, judged, recognised and compared with what was there; see `streams.bundles.app`."""

from typing import Any


def __getattr__(name: str) -> Any:  # noqa: ANN401 - Faust's app, made when `faust -A streams.bundles worker` asks for it
    if name != "app":
        raise AttributeError(name)
    from models.settings import WorkerSettings, load  # noqa: PLC0415 - nothing happens at import
    from streams.bundles.app import worker  # noqa: PLC0415

    return globals().setdefault("app", worker(load(WorkerSettings)).app)
