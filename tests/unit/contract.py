"""What a record on one of the service's topics must be: held against every record that any unit test writes."""

import re
from functools import cache

from models import headers, reasons, topics

PREFIX = "metriport."
BREACHES = []  # of the test that runs

_FAMILIES = {topic.name: topic.family for topic in topics.catalogue()}


def hold(topic, found):
    """Note what is wrong with a record's headers; a topic that is not the service's may hold anything."""
    if topic.startswith(PREFIX):
        BREACHES.extend(breaches(topic.removeprefix(PREFIX), found))


def breaches(topic, found):
    """Say what the declaration of headers does not say of a record of `topic`; never a value."""
    if topic not in _FAMILIES:
        return [f"{topic} is not in the catalogue"]
    family = _FAMILIES[topic]
    names = [name for name, _ in found]
    said = [f"{topic} lacks {name}" for name in _always(family) if name not in names]
    # What came to quarantine keeps the headers that it had, whoever wrote them.
    ours = [each for each in found if family != "quarantined" or each[0].startswith("x-quarantine-")]
    said += [f"{topic} has {name}, undeclared" for name, _ in ours if name not in headers.of(family)]
    said += [f"{topic} has a {name} of another form" for name, value in ours if not _has_form(name, value)]
    said += [f"{topic} has {name} twice" for name in {name for name, _ in ours if names.count(name) > 1}]
    if (
        family == "quarantined"
        and headers.text(found, headers.QUARANTINE_REASON) not in reasons.OF_STAGE[topic.split(".")[1]]
    ):
        said.append(f"{topic} has a reason that is not one of its stage")
    return said


@cache
def _always(family):
    return tuple(name for name, declared in headers.TABLE.items() if family in declared.always)


def _has_form(name, value):
    declared = headers.TABLE.get(name)
    return declared is None or re.fullmatch(declared.form or ".*", (value or b"").decode(), re.DOTALL)
