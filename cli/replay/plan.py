"""A plan: which records are sent again, counted, in a file that a second person can read."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from cli.replay.selection import Selection
from models.errors import Misconfigured

FILE_BYTES_MAX = 64 * 2**20

# Kafka forgets what a group has committed a week after its last member went (`offsets.retention.minutes`): a plan that
# was begun before would begin again.
AGE_MAX = timedelta(days=6)

_Offset = Annotated[int, Field(ge=0)]


class Span(BaseModel):
    """A range of one partition: `begin` counts, `end` does not; `selected` of its records are meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    topic: str
    partition: _Offset
    begin: _Offset
    end: _Offset
    selected: _Offset


class Plan(BaseModel):
    """Which records are sent again: `apply` sends these, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    plan: Literal[1] = 1  # the version of this format
    plan_id: str = Field(pattern=r"^[a-z0-9-]{8,40}$")
    created_at: AwareDatetime
    created_by: str
    code_version: str
    cluster: str
    topic_prefix: str
    selection: Selection
    records: _Offset
    value_bytes: _Offset
    spans: tuple[Span, ...]
    missing_in_spans: tuple[Span, ...] = ()

    def topics(self) -> dict[str, int]:
        """Return how many records of each topic are meant."""
        found: dict[str, int] = {}
        for span in self.spans:
            found[span.topic] = found.get(span.topic, 0) + span.selected
        return found

    @property
    def group(self) -> str:
        """The consumer group in which `apply` keeps how far it is."""
        return f"{self.topic_prefix}replay.{self.plan_id}"


def write(plan: Plan, path: Path) -> None:
    """Write a plan for its owner's eyes only: a patient's id may be in it. Raise `Misconfigured` if that fails."""
    text = plan.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Misconfigured(f"{path} exists; give another name with --out, or remove it.") from None
    except OSError as problem:
        raise Misconfigured(f"{path} cannot be written: {problem.strerror}.") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        with suppress(OSError):
            path.unlink()
        raise Misconfigured(f"{path} cannot be written: {problem.strerror}.") from None


def read(path: Path) -> Plan:
    """Return the plan in a file; raise `Misconfigured` if it is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as problem:
        raise Misconfigured(f"{path} cannot be read: {problem.strerror}.") from None
    try:
        if len(raw) > FILE_BYTES_MAX:
            raise Misconfigured(f"{path} is too large for a plan.")
        plan = Plan.model_validate_json(raw)
    except ValidationError as error:
        where = sorted({".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False)} - {""})
        raise Misconfigured(
            f"{path} is no plan of `replay plan`{': look at ' + ', '.join(where[:3]) if where else ''}."
        ) from None
    _check(plan, path)
    return plan


def _check(plan: Plan, path: Path) -> None:
    for problem in _contradictions(plan):
        raise Misconfigured(f"{path} contradicts itself: {problem}. Make a new plan instead of changing one.")
    if datetime.now(UTC) - plan.created_at > AGE_MAX:
        raise Misconfigured(
            f"{path} is older than {AGE_MAX.days} days, so Kafka may have forgotten how far it was applied. Make a new"
            " plan; `--missing-in` with the topic that you send to leaves out what is there."
        )


def _contradictions(plan: Plan) -> Iterator[str]:
    if plan.records != sum(span.selected for span in plan.spans):
        yield "the counts of its spans do not add up to its records"
    if len({(span.topic, span.partition) for span in plan.spans}) != len(plan.spans):
        yield "a partition is in it twice"
    if any(span.end < span.begin or span.selected > span.end - span.begin for span in plan.spans):
        yield "a span ends before it begins, or has more records than offsets"
