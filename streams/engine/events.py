"""Declares what the engine logs and counts, beside the events every stage shares."""

from models.telemetry import Event, counter, gauge, histogram

UNREAD_EXPIRED = Event(
    "unread_records_expired",
    "error",
    counter("unread_records_expired", "Records that retention deleted before they were read.", "stage", "topic"),
    labels=("stage", "topic"),
)
UNREAD_BEYOND = Event(
    "records_unread",
    "error",
    counter("records_unread", "Records in partitions beyond TOPIC_PARTITIONS, which nobody reads.", "stage"),
    labels=("stage",),
    fields=("first",),
)
STATE_REBUILT = Event(
    "state_rebuilt",
    "warning",
    counter("state_rebuilt", "Local copies of the state that were not used, by reason.", "stage", "reason"),
    labels=("stage", "reason"),
    fields=("partition",),
)
LOST = Event("records_lost", "critical", fields=("stage", "topic", "sentence"))
PAUSED = gauge("stage_paused", "1 while a stage whose version breaks on what it reads waits for an operator.", "stage")
STAGE_PAUSED = Event("stage_paused", "critical", fields=("stage", "sentence"))
STAGE_RESUMED = Event("stage_resumed", "warning", fields=("stage",))
ACCEPTED = Event("loss_accepted", "warning", fields=("stage", "topic", "partition", "position", "start"))
TAILS_READ = Event("output_tails_read", "info", fields=("stage", "partitions", "seconds"))
BATCH_DONE = Event(
    "batch_done",
    "debug",
    histogram("batch_seconds", "Seconds from handing over a batch to its last acknowledgement.", "stage"),
    labels=("stage",),
)
SUSPECTED = Event(
    "work_suspected",
    "warning",
    counter("work_suspected", "Pieces of work that were under way when a process of the stage ended.", "stage"),
    labels=("stage",),
    fields=("partition", "own", "unexplained"),
)
INTERRUPTED = Event("work_interrupted", "info", fields=("stage", "topic", "partition"))
