"""Everything the service can tell, declared once: emitting an event writes its log line and moves its metric.

An event may only carry the fields declared for it, so a log line cannot grow a patient's name by accident. Labels are
from bounded sets: types, outcomes, reasons, stages; never an id or a URL.

Conservation, over any stretch of time:
  ingress:    received = acknowledged + refused + pings
  deliveries: read = published (`drift` aside) + quarantined + duplicates
"""

import contextlib
import logging
import platform
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from models import library_log
from models.build import VERSION

REGISTRY = CollectorRegistry()
# The process's own memory, CPU time, file descriptors and start, by the names that every process has for them:
# https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
ProcessCollector(registry=REGISTRY)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600)

Level = Literal["debug", "info", "warning", "error", "critical"]
_LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error", "critical")}


class Event:
    """One thing worth knowing.

    `labels` go to the metric and the log, `fields` to the log only; an undeclared one raises `TypeError`. One that
    strangers can cause has `lines_per_s_max`: what is more than that is counted and not logged.
    """

    __slots__ = (
        "_allowed",
        "_labels",
        "_lines",
        "_lines_per_s_max",
        "_move",
        "_movers",
        "_second",
        "_severity",
        "metric",
        "name",
    )

    def __init__(
        self,
        name: str,
        level: Level,
        metric: Counter | Histogram | None = None,
        *,
        labels: tuple[str, ...] = (),
        fields: tuple[str, ...] = (),
        lines_per_s_max: int | None = None,
    ) -> None:
        self.name = name
        self.metric = metric
        self._severity = _LEVELS[level]
        self._allowed = frozenset((*labels, *fields))
        self._labels = itemgetter(*labels) if labels and metric is not None else None
        self._move = None if metric is None or labels else _mover(metric)
        self._movers: dict[Any, Callable[[float], None]] = {}
        self._lines_per_s_max = lines_per_s_max
        self._second = self._lines = 0

    def __call__(self, amount: float = 1, **facts: Any) -> None:  # noqa: ANN401 - facts are what the log can render
        """Emit it: `amount` moves the counter, or is what the histogram observes."""
        if not self._allowed.issuperset(facts):
            raise TypeError(f"{self.name} does not carry {sorted(set(facts) - self._allowed)}")
        if self._labels is not None:
            values = self._labels(facts)
            (self._movers.get(values) or self._labelled(values))(amount)
        elif self._move is not None:
            self._move(amount)
        if self._severity >= _level and (self._lines_per_s_max is None or self._has_a_line_left()):
            # Whoever closed standard error does without the log; a request must not fail for it.
            with contextlib.suppress(OSError, ValueError):
                structlog.get_logger().log(self._severity, self.name, **facts)

    def _has_a_line_left(self) -> bool:
        assert self._lines_per_s_max is not None
        second = int(time.monotonic())
        self._second, self._lines = second, 1 + (self._lines if second == self._second else 0)
        return self._lines <= self._lines_per_s_max

    def _labelled(self, values: Any) -> Callable[[float], None]:  # noqa: ANN401 - one label's value, or a tuple of them
        """Remember what moves the metric of these labels; the library's own look-up costs more than the count."""
        assert self.metric is not None
        labelled = self.metric.labels(*(values if isinstance(values, tuple) else (values,)))
        return self._movers.setdefault(values, _mover(labelled))


def _mover(metric: Counter | Histogram) -> Callable[[float], None]:
    return metric.inc if isinstance(metric, Counter) else metric.observe


class Declared(NamedTuple):
    """One metric as an operator meets it: its name in `/metrics`, its kind, its labels, what it counts."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    sentence: str
    collector: Counter | Gauge | Histogram


DECLARED: list[Declared] = []


def counter(name: str, sentence: str, *labels: str) -> Counter:
    """Declare a counter `metriport_<name>_total`."""
    made = Counter(f"metriport_{name}", sentence, labels, registry=REGISTRY)
    DECLARED.append(Declared(f"metriport_{name}_total", "counter", labels, sentence, made))
    return made


def histogram(name: str, sentence: str, *labels: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
    """Declare a histogram `metriport_<name>`."""
    made = Histogram(f"metriport_{name}", sentence, labels, registry=REGISTRY, buckets=buckets)
    DECLARED.append(Declared(f"metriport_{name}", "histogram", labels, sentence, made))
    return made


def gauge(name: str, sentence: str, *labels: str) -> Gauge:
    """Declare a gauge `metriport_<name>`."""
    made = Gauge(f"metriport_{name}", sentence, labels, registry=REGISTRY)
    DECLARED.append(Declared(f"metriport_{name}", "gauge", labels, sentence, made))
    return made


BUILD_INFO = gauge("build_info", "1, with the version of this build and of its Python as labels.", "version", "python")
BUILD_INFO.labels(VERSION, platform.python_version()).set(1)

# Of each kind of event that anybody on the network can cause as often as they like.
STRANGERS_LINES_PER_S_MAX = 10

_level = logging.INFO


def configure(*, level: Level = "info", style: Literal["auto", "json", "text"] = "auto") -> None:
    """Set up logging for this process: JSON lines on standard error, or text for a person at a terminal."""
    global _level  # noqa: PLW0603 - one process, one log
    _level = _LEVELS[level]
    text = style == "text" or (style == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_level),
        # One write a line: the lines of several processes in one log must not run into each other.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries write through `logging`: only warnings, in the same form, without what they were given.
    logging.basicConfig(level=max(_level, logging.WARNING), handlers=[library_log.Handler(_said)])


def take_crashes() -> None:
    """Have whatever would end this process with a traceback told as an event: a line of the log like all others."""
    library_log.take_crashes(_said)


def _said(level: int, event: str, **facts: Any) -> None:  # noqa: ANN401 - facts are what the log can render
    with contextlib.suppress(OSError, ValueError):
        structlog.get_logger().log(level, event, **facts)


# --- the ingress ---------------------------------------------------------------------------------------------------

RECEIVED = Event(
    "delivery_received", "debug", counter("deliveries_received", "Requests to the webhook route."), fields=("bytes",)
)
ACKNOWLEDGED = Event(
    "delivery_acknowledged",
    "debug",
    counter("deliveries_acknowledged", "Deliveries kept and answered 200, by where they were kept.", "kept_in"),
    labels=("kept_in",),
)
REFUSED = Event(
    "delivery_refused",
    "warning",
    counter("deliveries_refused", "Requests answered with an error, by reason.", "reason"),
    labels=("reason",),
    fields=("status", "bytes"),
    lines_per_s_max=STRANGERS_LINES_PER_S_MAX,
)
PONG = Event("ping_answered", "info", counter("pings_answered", "Pings of Metriport that were answered."))
ANSWERED = Event(
    "delivery_answered",
    "debug",
    histogram("delivery_answer_seconds", "Seconds from the end of the headers to the answer."),
)
KEY_MATCHED = Event(
    "key_matched",
    "debug",
    counter(
        "signatures_matched",
        "Signed requests, by the place of the key that matched in METRIPORT_WEBHOOK_KEYS, from 0.",
        "key",
    ),
    labels=("key",),
)
PUBLISH_UNKNOWN = Event(
    "publish_unknown",
    "warning",
    counter("publish_unknown", "Kafka sends whose outcome is not known; the delivery went to the spool too."),
    fields=("error",),
)
PRODUCER_REPLACED = Event(
    "producer_replaced",
    "warning",
    counter("producer_replaced", "Kafka producers that hung or were fenced, and were replaced."),
    fields=("reason",),
)
KAFKA_REACHED = Event("kafka_reached", "info")
KAFKA_AWAY = Event("kafka_away", "warning", fields=("state", "error"))
PARTITIONS_DIFFER = Event("partitions_differ", "warning", fields=("topic", "expected", "found"))
HTTP_UNREADABLE = Event(
    "http_unreadable",
    "warning",
    counter("http_unreadable", "Connections closed because what came was no request, by reason.", "reason"),
    labels=("reason",),
    lines_per_s_max=STRANGERS_LINES_PER_S_MAX,
)
CONNECTION_CUT = Event(
    "connection_cut",
    "warning",
    counter("connections_cut", "Connections ended without a word, by reason.", "reason"),
    labels=("reason",),
    lines_per_s_max=STRANGERS_LINES_PER_S_MAX,
)
CONNECTIONS_LIMITED = Event("connections_limited", "warning", fields=("sentence", "connections", "descriptors"))
CONNECTIONS = gauge("connections", "Connections of senders that are open.")
SPOOLED = Event("delivery_spooled", "debug", counter("spool_written", "Deliveries written to the spool and synced."))
SPOOL_IN_USE = Event("spool_in_use", "warning", fields=("reason",))
SPOOL_DRAINED = Event(
    "spool_drained", "debug", counter("spool_drained", "Spooled deliveries moved to Kafka."), fields=("left",)
)
SPOOL_EMPTY = Event("spool_empty", "info")
SPOOL_HELD = Event(
    "spool_held",
    "error",
    counter("spool_held", "Spooled deliveries the broker refuses for their size; tried again at the next start."),
    fields=("bytes",),
)
SPOOL_REFUSED = Event(
    "spool_refused",
    "error",
    counter("spool_refused", "Deliveries that the spool could not take, by reason.", "reason"),
    labels=("reason",),
)
SPOOL_DAMAGED = Event(
    "spool_damaged",
    "error",
    counter("spool_damaged", "Damaged spools that were found and set aside."),
    fields=("reason", "moved_to"),
)
SPOOL_SALVAGED = Event(
    "spool_salvaged",
    "warning",
    counter("spool_salvaged", "Deliveries read out of a damaged spool."),
    fields=("deliveries", "missing", "complete"),
)
SPOOL_RECOVERED = Event(
    "spool_recovered",
    "info",
    counter(
        "spool_recovered", "Deliveries of a spool that were written, not synced before a crash, and kept all the same."
    ),
)
SPOOL_FAILED = Event(
    "spool_failed",
    "error",
    counter("spool_failed", "Reads and writes of the spool that its disk failed."),
    fields=("error",),
)
SPOOL_RECORDS = gauge("spool_records", "Deliveries in the spool.")
SPOOL_SET_ASIDE = gauge("spool_set_aside", "Damaged spools set aside that nobody has dealt with yet.")
SPOOL_BYTES = gauge("spool_bytes", "Bytes in the spool.")
INFLIGHT_BYTES = gauge("inflight_bytes", "Bytes of bodies held by the ingress.")
FOLDER_OPEN = Event("folder_open", "warning", fields=("folder",))
SETTING_RENAMED = Event("setting_renamed", "warning", fields=("sentence",))
LISTENING = Event("listening", "info", fields=("address",))
STOPPING = Event("stopping", "info", fields=("reason",))
STOPPED = Event("stopped", "info")

# --- every stage of the worker -------------------------------------------------------------------------------------

READ = Event(
    "records_read",
    "debug",
    counter("records_read", "Records read, by stage.", "stage"),
    labels=("stage",),
)
PUBLISHED = Event(
    "records_published",
    "debug",
    counter("records_published", "Records written and acknowledged, by stage and type.", "stage", "type"),
    labels=("stage", "type"),
)
DUPLICATE = Event(
    "delivery_duplicate",
    "debug",
    counter("deliveries_duplicate", "Deliveries seen before and dropped on purpose, by type.", "type"),
    labels=("type",),
)
QUARANTINED = Event(
    "record_quarantined",
    "warning",
    counter("records_quarantined", "Records set aside with their bytes, by stage and reason.", "stage", "reason"),
    labels=("stage", "reason"),
    fields=("topic", "partition", "offset", "error"),
)
RESTORED = Event(
    "state_restored",
    "info",
    counter("state_restored_records", "Changelog records read to restore a stage's state.", "stage"),
    labels=("stage",),
    fields=("seconds", "partitions"),
)
HEALTH_FAILED = Event("health_failed", "error", fields=("error",), lines_per_s_max=STRANGERS_LINES_PER_S_MAX)
HEALTH_PORT_TAKEN = Event("health_port_taken", "warning", fields=("stage", "address"))
FATAL = Event("fatal", "critical", fields=("stage", "sentence", "error"))
STAGE_STARTED = Event("stage_started", "info", fields=("stage", "pid", "answers_at"))
STAGE_ENDED = Event(
    "stage_ended",
    "warning",
    counter("stage_restarts", "Stages that ended and were started again.", "stage"),
    labels=("stage",),
    fields=("code", "again_in_s"),
)
