"""What a record on one of the service's topics must be: held against every record that any unit test writes."""

import json
import re
from functools import cache
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from models import headers, reasons, schemas, topics
from models.records import Record
from streams.engine.job import RESERVED
from streams.patients import stored

PREFIX = "metriport."
BREACHES = []  # of the test that runs

_FAMILIES = {topic.name: topic.family for topic in topics.catalogue()}


def hold(topic, output):
    """Note what is wrong with a record; a topic that is not the service's may hold anything."""
    if topic.startswith(PREFIX):
        name = topic.removeprefix(PREFIX)
        BREACHES.extend(breaches(name, output.headers))
        if name in schemas.MODELS and output.value is not None:
            BREACHES.extend(f"{name}: {said}" for said in differences(schemas.MODELS[name], _loads(output.value)))
        if name == topics.changelog("patients"):
            BREACHES.extend(f"the table of patients: {said}" for said in state_breaches(output.key, output.value))


def breaches(topic, found):
    """Say what the declaration of headers does not say of a record of `topic`; never a value."""
    if topic not in _FAMILIES:
        return [f"{topic} is not in the catalogue"]
    family = _FAMILIES[topic]
    names = [name for name, _ in found]
    said = [f"{topic} lacks {name}" for name in _always(family) if name not in names]
    # What came to quarantine, or is released from there, keeps the headers that it had, whoever wrote them.
    foreign = family == "quarantined" or (family == "decided" and headers.RELEASED in names)
    ours = [each for each in found if not foreign or each[0].startswith("x-quarantine-")]
    said += [f"{topic} has {name}, undeclared" for name, _ in ours if name not in headers.of(family)]
    said += [f"{topic} has a {name} of another form" for name, value in ours if not _has_form(name, value)]
    said += [f"{topic} has {name} twice" for name in {name for name, _ in ours if names.count(name) > 1}]
    if (
        family == "quarantined"
        and headers.text(found, headers.QUARANTINE_REASON) not in reasons.OF_STAGE[topic.split(".")[1]]
    ):
        said.append(f"{topic} has a reason that is not one of its stage")
    return said


def _loads(value):
    """Return what JSON says, of numbers with thousands of digits the first ones: only fields are looked at."""
    return json.loads(value, parse_int=lambda digits: int(digits[:18]))


def differences(shape, value, *, is_whole=True):
    """Say in which fields a value is not of its shape: none but the model's, unless passed on; all, if it is whole."""
    try:
        _reader(shape).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return [f"{'.'.join(map(str, item['loc']))}: {item['type']}" for item in error.errors()]
    return list(_differences(shape, value, "", is_whole=is_whole))


def _differences(shape, value, path, *, is_whole):
    if isinstance(shape, type) and issubclass(shape, Record):
        named = {field.alias or name: field.annotation for name, field in shape.model_fields.items()}
        yield from (f"{path}{name} is missing" for name in named if is_whole and name not in value)
        yield from (f"{path}{name} is not declared" for name in value if name not in named and not shape.is_passed_on)
        for name in named.keys() & value.keys():
            yield from _differences(named[name], value[name], f"{path}{name}.", is_whole=is_whole)
    elif get_origin(shape) is dict and isinstance(value, dict):
        for part in value.values():
            yield from _differences(get_args(shape)[1], part, f"{path}*.", is_whole=is_whole)
    elif get_origin(shape) is list and isinstance(value, list):
        for part in value:
            yield from _differences(get_args(shape)[0], part, f"{path}[].", is_whole=is_whole)
    elif get_origin(shape) in {UnionType, Union} and value is not None:
        for one in get_args(shape):
            yield from _differences(one, value, path, is_whole=is_whole)


def state_breaches(key, value):
    """Say what a value of the patients' table has that its shape has not; never what it says."""
    if key.startswith(RESERVED) or value is None:
        return []
    shape = stored.SHAPES.get(key[:2])
    return differences(shape, _loads(value), is_whole=False) if shape else ["a key of no kind"]


@cache
def _reader(shape):
    return TypeAdapter(shape)


@cache
def _always(family):
    return tuple(name for name, declared in headers.TABLE.items() if family in declared.always)


def _has_form(name, value):
    declared = headers.TABLE.get(name)
    return declared is None or re.fullmatch(declared.form or ".*", (value or b"").decode(), re.DOTALL)
