"""A delivery that is as known becomes the same with and without its wire model."""

import random

import pytest

from models import body, messages, samples
from models.errors import Poison
from streams.deliveries import level
from streams.deliveries.normalize import normalize
from streams.deliveries.sentinel import Sentinel
from tests.unit.deliveries.stage import KNOWN, made


def became(delivery, index=0, *, is_as_known):
    try:
        return normalize(delivery, index=index, received_at="2026-02-01T10:00:00.000Z", is_as_known=is_as_known)
    except Poison as refused:
        return refused.reason


def both(delivery):
    read = body.parse(samples.encode(delivery))
    assert Sentinel().look(read, 0).is_as_known
    return [became(read, is_as_known=is_as_known) for is_as_known in (True, False)]


@pytest.mark.parametrize("name", KNOWN)
def test_a_sample_becomes_the_same_both_ways(name):
    sooner, later = both(samples.load(name))

    assert sooner == later


@pytest.mark.parametrize("kind", messages.TYPES)
def test_whatever_is_known_becomes_the_same_both_ways(kind):
    rng = random.Random(kind)

    for _ in range(300):
        sooner, later = both(made(messages.TYPES[kind], rng))
        assert sooner == later


@pytest.mark.parametrize("kind", messages.TYPES)
def test_every_wire_model_of_today_can_be_done_without(kind):
    assert level.leveller(messages.TYPES[kind].wire) is not None


@pytest.mark.parametrize(
    "added",
    [
        "newField",
        "patient_id",
        "external_id",
        "type",
        "when",
        "requestId",
        "messageId",
        "metadata",
        "model_config",
        "a b",
    ],
)
@pytest.mark.parametrize("kind", messages.TYPES)
def test_a_field_that_is_not_known_is_passed_on_the_same_both_ways(kind, added):
    rng, sentinel = random.Random(kind + added), Sentinel()
    for _ in range(40):
        delivery = planted(made(messages.TYPES[kind], rng), added, rng)
        read = body.parse(samples.encode(delivery))

        is_as_known = sentinel.look(read, 0).is_as_known

        assert became(read, is_as_known=is_as_known) == became(read, is_as_known=False)


def planted(part, name, rng):
    """Return it with a field of this name in some of its objects."""
    if isinstance(part, list):
        return [planted(each, name, rng) for each in part]
    if not isinstance(part, dict):
        return part
    found = {each: planted(value, name, rng) for each, value in part.items()}
    return found if name in found or rng.random() < 0.6 else found | {name: "planted"}


NAMES = ["newField", "patient_id", "type", "when", "data", "x", "a b", "url", "status", "firstDataReadyAt", "__class__"]
VALUES = [None, "", 1, True, "x", [], {}, [1], {"a": 1}, 2**70, 1.5]


@pytest.mark.parametrize("kind", messages.TYPES)
def test_whatever_is_taken_for_known_becomes_the_same_both_ways(kind):
    rng, sentinel, taken = random.Random(kind), Sentinel(), 0
    for _ in range(300):
        delivery = odd(made(messages.TYPES[kind], rng), rng)
        if isinstance(patients := delivery.get("patients"), list) and rng.random() < 0.3:
            patients += [odd(each, rng) for each in patients]
        read = body.parse(samples.encode(delivery))
        index = rng.choice([None, 0, 0, 1])

        is_as_known = sentinel.look(read, index).is_as_known

        if is_as_known:
            assert became(read, index, is_as_known=True) == became(read, index, is_as_known=False)
            taken += 1
    assert taken > 10


def odd(part, rng):
    """Return it changed here and there: fields gone, other values, new names."""
    if isinstance(part, list):
        return [odd(each, rng) for each in part]
    if not isinstance(part, dict):
        return part
    found = {}
    for name, value in part.items():
        chance = rng.random()
        if chance >= 0.02:
            found[name] = rng.choice(VALUES) if chance < 0.05 and name != "meta" else odd(value, rng)
    return found | {rng.choice(NAMES): rng.choice(VALUES)} if rng.random() < 0.1 else found
