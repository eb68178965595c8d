"""Declare what the bundles stage logs and counts beside what every stage does."""

from models.telemetry import Event, counter

AUDITED = Event(
    "fhir_verdict_audited",
    "debug",
    counter("fhir_verdicts_audited", "Resources that passed the fast check and were checked by the library as well."),
)
MISMATCHED = Event(
    "fhir_verdict_mismatched",
    "error",
    counter(
        "fhir_verdicts_mismatched",
        "Resources that passed the fast check and that the library rejects. The first one ends the fast check.",
    ),
)
PROCESS_LOST = Event(
    "fhir_process_lost",
    "warning",
    counter("fhir_processes_lost", "Processes that died or hung while they checked resources, and were replaced."),
)
WHEN_NOT_BELIEVED = Event(
    "fhir_when_not_believed",
    "warning",
    counter("fhir_whens_not_believed", "Bundles whose `when` does not count, by reason.", "reason"),
    labels=("reason",),
)
REMOVALS_HELD = Event(
    "fhir_removals_held",
    "error",
    counter("fhir_removals_held", "Resources whose removal was held, to wait for a person."),
    fields=("resources",),
)
