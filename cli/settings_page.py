"""Write `docs/settings.md` from the settings themselves: `python -m cli.settings_page`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from ingress.settings import IngressSettings
from models.settings import CatalogueSettings, Settings
from models.stages import STAGES
from streams.settings import class_of

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

# Every process, and the class that it loads.
PROCESSES: dict[str, type[Settings]] = {
    "ingress": IngressSettings,
    **{name: class_of(name) for name in STAGES},
    "topics": CatalogueSettings,
}

_HEAD = """# Settings

Made from the code by `python -m cli.settings_page`; do not edit.

Settings come from the environment, from a `.env` file in the folder in which a process is started, or from files named
like them in `/run/secrets`; what is in the environment counts before the others. Names may be written in capitals or
not. A list is written with commas between. Every process says what is wrong or missing in one sentence and ends with
exit code 2 before it starts anything; `metriport-streams doctor` looks at all of them.

The headings say which process needs what: `ingress`; the stages `deliveries`, `links`, `bundles` and `patients`;
`topics`, the commands that make, check or read all topics. Further: `trigger` needs `METRIPORT_WEBHOOK_KEYS` and
`INGRESS_PORT`, `sign` and `verify` need `METRIPORT_WEBHOOK_KEYS`, `spool` needs `SPOOL_DIR` and for `salvage` what the
ingress needs to reach Kafka, the other commands need what every process needs.

## Ports of the stages

Each stage answers `/live`, `/ready` and `/metrics` on a port of its own, always the same, whichever run beside it. With
`WORKER_PORT` unset:

| stage | port |
| --- | --- |
"""
_PORTS = """
`WORKER_PORT` moves them all: with 9000, `deliveries` has 9000 and `patients` 9003. Where a worker runs a single stage
(`metriport-streams worker bundles`), as containers do, `WORKER_PORT` is the port of that stage itself. Several such
workers on one host leave it unset, or give each its own. 0: none answers.
"""


def page() -> str:
    """Return the page."""
    ports = "".join(f"| `{name}` | {stage.port(_default_port())} |\n" for name, stage in STAGES.items())
    return _HEAD + ports + _PORTS + "".join(_sections())


def fields() -> dict[str, tuple[FieldInfo, frozenset[str]]]:
    """Return every setting by name, with the processes that need it."""
    found: dict[str, tuple[FieldInfo, frozenset[str]]] = {}
    for process, kind in PROCESSES.items():
        for name, field in kind.model_fields.items():
            found[name] = field, found.get(name, (field, frozenset[str]()))[1] | {process}
    return found


def _default_port() -> int:
    return int(fields()["worker_port"][0].default)


def _sections() -> Iterator[str]:
    groups: dict[frozenset[str], list[tuple[str, FieldInfo]]] = {}
    for name, (field, processes) in fields().items():
        groups.setdefault(processes, []).append((name, field))
    for processes, members in sorted(groups.items(), key=lambda group: _place(group[0])):
        yield f"\n## {_title(processes)}\n\n| name | default | may be | meaning |\n| --- | --- | --- | --- |\n"
        for name, field in members:
            yield f"| `{name.upper()}` | {_default(name, field)} | {_limits(name, field)} | {field.description} |\n"


def _place(processes: frozenset[str]) -> tuple[int, list[int]]:
    """Order groups: what most processes need first, then as data flows."""
    return -len(processes), [place for place, name in enumerate(PROCESSES) if name in processes]


def _title(processes: frozenset[str]) -> str:
    stages = frozenset(STAGES)
    if processes == frozenset(PROCESSES):
        return "Every process"
    if processes == stages | {"ingress"}:
        return "Ingress and every stage"
    if processes == stages:
        return "Every stage"
    return _and([f"`{name}`" for name in PROCESSES if name in processes])


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _default(name: str, field: FieldInfo) -> str:
    if name == "blob_store_url":  # a folder of the machine on which it is asked
        return "`file://…/var/blobs`"
    if field.is_required():
        return "required"
    if field.default_factory is not None or field.default in (None, ()):
        return "unset"
    return _value(name, field.default)


def _value(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a setting can be
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    if isinstance(value, int | float):
        return _number(name, value)
    return f"`{value}`"


def _number(name: str, value: float) -> str:
    exact = f"{value:g}" if isinstance(value, float) else str(value)
    if "bytes" in name:
        for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value and value % size == 0:
                return f"{exact} ({int(value) // size} {unit})"
    return exact


def _limits(name: str, field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    low = high = ""
    for limit in field.metadata:
        if (least := getattr(limit, "ge", None)) is not None:
            low = f"from {_number(name, least)}"
        if (above := getattr(limit, "gt", None)) is not None:
            low = f"above {_number(name, above)}"
        if (most := getattr(limit, "le", None)) is not None:
            high = f"to {_number(name, most)}"
    return " ".join(filter(None, [low, high, _unit(name) if low else ""]))


def _choices(annotation: Any) -> Iterable[str]:  # noqa: ANN401 - a type
    return (
        get_args(annotation) if get_origin(annotation) is Literal else ("true", "false") if annotation is bool else ()
    )


def _unit(name: str) -> str:
    return {"s": "s", "days": "days"}.get(name.rsplit("_", 1)[-1], "")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
