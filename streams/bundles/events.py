"""What the bundles stage can tell beside what every stage tells."""

from models.telemetry import Event, counter

AUDITED = Event(
    "fhir_verdict_audited",
    "debug",
    counter("fhir_verdicts_audited", "Quick yeses that the library was asked about, too."),
)
MISMATCHED = Event(
    "fhir_verdict_mismatched",
    "error",
    counter("fhir_verdicts_mismatched", "Quick yeses the library disagreed with: must stay 0; ends the quick way."),
)
PROCESS_LOST = Event(
    "fhir_process_lost",
    "warning",
    counter("fhir_processes_lost", "Processes that died or hung over resources, and were replaced."),
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
    counter("fhir_removals_held", "Resources whose removal waits for a person."),
    fields=("resources",),
)
