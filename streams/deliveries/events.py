"""What the deliveries stage can tell. No event carries a value, an id, or a name that could be anything."""

from models.telemetry import Event, counter, gauge

DRIFTED = Event(
    "drift_seen",
    "warning",
    counter(
        "drift_seen",
        "Differences between what comes and what is known, each once per type, path, kind and partition.",
        "type",
        "kind",
    ),
    labels=("type", "kind"),
    fields=("message_type", "path", "partition"),
)
DRIFT_OPEN = gauge(
    "drift_open", "Types and paths that differ from what is known and that nobody has accepted, by type.", "type"
)
