"""The table of metrics: all that are declared, who has them, and when to worry."""

from collections.abc import Iterator, Mapping
from types import ModuleType

from cli.reference.table import code, table
from models import telemetry
from models.telemetry import Event
from streams import health
from streams.bundles import events as bundles
from streams.deliveries import events as deliveries
from streams.engine import events as engine
from streams.links import events as links

STAGE = "each stage"
# `models.telemetry` declares those of the ingress, and those of every stage, which have the label `stage`.
_OF_EVERY_STAGE: Mapping[ModuleType, str] = {
    engine: STAGE,
    health: STAGE,
    deliveries: "`deliveries`",
    links: "`links`",
    bundles: "`bundles`",
}
_OF_ONE = {
    "metriport_build_info": "the ingress, each stage",
    "metriport_deliveries_duplicate_total": "`deliveries`",
    "metriport_stage_restarts_total": "the worker, which has no `/metrics`: see `stage_ended` in its log",
}

# When an operator should look into it; a metric that is not here says how much there is, not that something is wrong.
WORRY: Mapping[str, str] = {
    "metriport_blob_store_failures_total": "It grows: make room in the blob store, or bring it back, before links die.",
    "metriport_bulk_rows_unread_total": "It grows: look into `quarantine.links`.",
    "metriport_connections": "Near `CONNECTIONS_MAX`.",
    "metriport_connections_cut_total": "It grows all the time: strangers, or a proxy that keeps too many connections.",
    "metriport_drift_open": "It is not 0: `metriport-streams drift list`; `drift accept PATH` once it is looked into.",
    "metriport_deliveries_refused_total": "`cannot_keep` at all; `bad_signature` after a change of keys; "
    "`too_large` at all.",
    "metriport_delivery_answer_seconds": "The 99th percentile over 2 s: Metriport gives up after 4 s.",
    "metriport_fetch_broken_total": "It grows: report it, with the log's `fetch_broken` lines.",
    "metriport_fetch_seconds_left_at_start": "Links begin with few seconds left: raise `FETCH_CONCURRENCY`.",
    "metriport_fetches_oldest_waiting_seconds": "Over 60 s: links die while they wait; raise `FETCH_CONCURRENCY`.",
    "metriport_fhir_processes_lost_total": "It grows with every bundle: give `bundles` more memory.",
    "metriport_fhir_removals_held_total": "It grows: `metriport-streams fhir removals list`.",
    "metriport_fhir_verdicts_mismatched_total": "Above 0: report it; the library judges alone from then on.",
    "metriport_fhir_whens_not_believed_total": "It grows: compare this host's clock with Metriport's.",
    "metriport_inflight_bytes": "Near `INFLIGHT_BYTES_MAX`: large bodies are refused.",
    "metriport_links_ended_total": "`outcome` is not `stored` more often than usual; `reason` `address_refused`: "
    "`FETCH_ALLOWED_HOSTS` lacks a bucket.",
    "metriport_links_unreadable_total": "Above 0: look into `quarantine.links`.",
    "metriport_partition_oldest_unfinished_seconds": "Over `LATE_AFTER_S`: the stage is stuck or too slow.",
    "metriport_producer_replaced_total": "More than once an hour: Kafka hangs or is overloaded.",
    "metriport_publish_unknown_total": "It grows: Kafka does not acknowledge within `PUBLISH_TIMEOUT_S`.",
    "metriport_records_quarantined_total": "It grows: `metriport-streams tail quarantine.<stage> --no-follow`.",
    "metriport_records_unread_total": "Above 0: `TOPIC_PARTITIONS` differs from what somebody else writes with.",
    "metriport_signatures_matched_total": "During a rotation: the old key is idle once its `key` no longer grows.",
    "metriport_spool_damaged_total": "Above 0: `metriport-streams spool list`.",
    "metriport_spool_failed_total": "It grows: the spool's disk is failing.",
    "metriport_spool_held_total": "Above 0: raise the broker's `message.max.bytes`, then restart the ingress.",
    "metriport_spool_records": "Above 0 for minutes: Kafka is away, or does not acknowledge.",
    "metriport_spool_bytes": "More than half of `SPOOL_BYTES_MAX`.",
    "metriport_spool_refused_total": "Above 0: deliveries were answered 503; have Metriport send those again.",
    "metriport_spool_set_aside": "Above 0: `metriport-streams spool list`.",
    "metriport_stage_ready": "0 for more than two minutes: `/ready` says what it waits for.",
    "metriport_state_memory_bytes": "Stays at `STATE_MEMORY_BYTES_MAX` while the stage is slow: raise it.",
    "metriport_state_rebuilt_total": "It grows without a lost `STATE_DIR`: the host's disk or clock.",
    "metriport_unread_records_expired_total": "Above 0: records were deleted unread; the stage was down for too long.",
    "metriport_work_suspected_total": "It grows: a record ends its stage again and again; see `quarantine.<stage>`.",
}


def metrics() -> str:
    """Return the table of all declared metrics, by name."""
    origins = dict(_origins()) | _OF_ONE
    return table(
        ("metric", "type", "of", "labels", "says", "worry when"),
        (
            (
                code(each.name),
                each.kind,
                _OF_ONE.get(each.name)
                or origins.get(each.name)
                or (STAGE if "stage" in each.labels else "the ingress"),
                ", ".join(map(code, each.labels)),
                each.sentence,
                WORRY.get(each.name, ""),
            )
            for each in sorted(telemetry.DECLARED)
        ),
    )


def _origins() -> Iterator[tuple[str, str]]:
    for module, owner in _OF_EVERY_STAGE.items():
        collectors = {id(value.metric if isinstance(value, Event) else value) for value in vars(module).values()}
        for each in telemetry.DECLARED:
            if id(each.collector) in collectors:
                yield each.name, owner
