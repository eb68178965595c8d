"""The stages of the worker, each declared once, in the order in which data flows through them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: where its code is, and where it answers.

    `build` and `settings` are `module:name`, so that a process loads the stage that it runs and no other.
    """

    name: str
    build: str  # takes the settings, returns the stage's worker
    settings: str  # the class of its settings
    port_offset: int  # from WORKER_PORT; never given to another stage, monitoring goes by it

    def port(self, worker_port: int) -> int:
        """Return the port on which the stage answers beside the others; 0, none, if `worker_port` is."""
        return worker_port and worker_port + self.port_offset


STAGES: Mapping[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("deliveries", "streams.deliveries.stage:worker", "streams.deliveries.settings:DeliveriesSettings", 0),
        Stage("links", "streams.links.stage:worker", "streams.links.settings:LinksSettings", 1),
        Stage("bundles", "streams.bundles.stage:worker", "streams.bundles.settings:BundlesSettings", 2),
        Stage("patients", "streams.patients.stage:worker", "streams.patients.settings:PatientsSettings", 3),
    )
}
