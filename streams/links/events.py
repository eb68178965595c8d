"""Declare what the links stage logs and counts. No event carries a link, an id or a file name."""

from models.telemetry import Event, counter, gauge, histogram

_SECONDS_LEFT = (0.0, 5.0, 10.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 3600.0)

LISTED = Event("links_listed", "debug", counter("links_listed", "Links to fetch, by kind.", "kind"), labels=("kind",))
STARTED = Event(
    "fetch_started",
    "debug",
    histogram(
        "fetch_seconds_left_at_start", "Seconds a link had to live when its fetch began.", "kind", buckets=_SECONDS_LEFT
    ),
    labels=("kind",),
)
ENDED = Event(
    "fetch_ended",
    "debug",
    histogram(
        "fetch_seconds_left_at_end", "Seconds a link had to live when its fetch ended.", "kind", buckets=_SECONDS_LEFT
    ),
    labels=("kind",),
)
_LINKS_ENDED = counter("links_ended", "Links that ended, by kind, outcome and reason.", "kind", "outcome", "reason")
STORED = Event("link_stored", "debug", _LINKS_ENDED, labels=("kind", "outcome", "reason"))
LOST = Event("link_lost", "warning", _LINKS_ENDED, labels=("kind", "outcome", "reason"))
RECEIVED = Event("fetch_received", "debug", counter("fetched_bytes", "Bytes received from links."))
RETRIED = Event("fetch_retried", "debug", counter("fetch_retries", "Attempts that failed and were followed by others."))
STORE_AWAY = Event(
    "blob_store_away",
    "warning",
    counter("blob_store_failures", "Attempts to store that failed and are made again; a full disk, most often."),
    fields=("error",),
)
RELEASED_EARLY = Event(
    "bundle_overtaken", "warning", counter("bundles_overtaken", "Bundles that left before older ones.")
)
BROKEN = Event(
    "fetch_broken",
    "error",
    counter("fetch_broken", "Errors nobody foresaw, each met by one link or one file."),
    fields=("error",),
)
ENTRY_UNREADABLE = Event(
    "link_unreadable",
    "error",
    counter("links_unreadable", "Entries of the work list that could not be read, and went to quarantine."),
)
ROWS_UNREAD = Event(
    "bulk_rows_unread",
    "warning",
    counter("bulk_rows_unread", "Rows of bulk results that could not be read for certain."),
)
WAITING = gauge("fetches_waiting", "Links that wait for their turn.")
RUNNING = gauge("fetches_running", "Links being fetched.")
OLDEST_WAITING_S = gauge("fetches_oldest_waiting_seconds", "How long the longest waiting link has waited.")
