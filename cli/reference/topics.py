"""The tables of topics, of headers, and of which record carries which header."""

import re
from collections.abc import Iterable, Iterator
from typing import get_args

from cli.reference.table import code, table
from models import headers, schemas, topics
from models.stages import STAGES
from models.topics import DAY_MS, Topic

_BY_STAGE = re.compile(rf"^(release|quarantine)\.({'|'.join(STAGES)})$")
_STATE = "fhir.state."
SCHEMAS = "../models/schemas"


def topics_of_readers() -> Iterator[Topic]:
    """Yield every topic that is not a stage's own, those that differ by a type or a stage alone once."""
    seen = set[str]()
    for topic in topics.catalogue():
        name = shown(topic.name)
        if "changelog" not in name and name not in seen:
            seen.add(name)
            yield topic


def shown(name: str) -> str:
    """Return a topic's name as the tables have it."""
    if name.startswith(_STATE):
        return f"{_STATE}<Type>"
    found = _BY_STAGE.match(name)
    return f"{found[1]}.<stage>" if found else name


def writer(name: str) -> str:
    """Return which process writes a topic, the only one that may."""
    if name == topics.WEBHOOKS:
        return "ingress"
    if name in {*topics.DELIVERY_TYPES, topics.UNRECOGNISED, topics.DRIFT}:
        return "deliveries"
    if name in {topics.DOCUMENTS, topics.BUNDLES, topics.BULK_PATIENTS}:
        return "links"
    if name.startswith("fhir."):
        return "bundles"
    if name in {topics.PATIENTS, topics.REQUESTS, topics.BULK_JOBS}:
        return "patients"
    found = _BY_STAGE.match(name)
    return "commands" if name == topics.AUDIT or (found and found[1] == "release") else found[2] if found else ""


def table_of_topics() -> str:
    """Return the table of topics."""
    return table(
        ("topic", "key", "value", "kept", "written by"),
        (
            (_linked(topic.name), topic.key, topic.value, _kept(topic), _writer(topic.name))
            for topic in topics_of_readers()
        ),
    )


def _linked(name: str) -> str:
    text = code(shown(name))
    return f"[{text}]({SCHEMAS}/{name}.json)" if name in schemas.MODELS else text


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "compacted"
    return "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms // DAY_MS} d"


def _writer(name: str) -> str:
    return "its stage" if shown(name) == "quarantine.<stage>" else writer(name)


# --- headers -------------------------------------------------------------------------------------------------------

# The headers that CloudEvents names, as the tables have them.
_CLOUD_EVENT = (headers.CE_SPECVERSION, headers.CE_ID, headers.CE_SOURCE, headers.CE_TYPE, headers.CE_TIME)


def table_of_headers() -> str:
    """Return the table of headers: what each says, and its form as a regular expression."""
    return table(
        ("header", "says", "form"),
        ((code(name), found.says, _form(found.form)) for name, found in headers.TABLE.items()),
    )


def table_of_carried() -> str:
    """Return which records have which headers, by the topics that have the same ones."""
    families = [family for family in get_args(headers.Family) if family != "table"]
    return table(
        ("records of", "always", "sometimes"),
        (
            (
                ", ".join(_topics_of(family)),
                _names(name for name, found in headers.TABLE.items() if family in found.always),
                _names(name for name, found in headers.TABLE.items() if family in found.sometimes),
            )
            for family in families
        ),
    )


def _form(form: str) -> str:
    return "" if form in {headers.TEXT, ".+"} else code(form)


def _topics_of(family: headers.Family) -> Iterator[str]:
    """Yield the topics of a family; those of the message types, which are many, as what they are."""
    if family == "reemitted":
        yield "what `replay apply` sends, beside its own"
    names = dict.fromkeys(shown(topic.name) for topic in topics.catalogue() if topic.family == family)
    if set(topics.DELIVERY_TYPES) <= set(names):
        yield "topics of messages"
        names = dict.fromkeys(name for name in names if name not in topics.DELIVERY_TYPES)
    yield from map(code, names)


def _names(names: Iterable[str]) -> str:
    found = list(names)
    if set(_CLOUD_EVENT) <= set(found):
        found = ["ce_*", *(name for name in found if name not in _CLOUD_EVENT)]
    return ", ".join(map(code, found))
