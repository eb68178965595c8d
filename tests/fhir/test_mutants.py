"""Whatever arrives, there is a verdict; and a quick yes is never a wrong one. `tests.fhir.mutants` is the full run."""

import random

import orjson
import pytest

from streams.bundles.validation.build import Standards, validators
from streams.bundles.validation.chunk import Chunk, validate
from tests.fhir.mutants import compare, corpus, mutants

MUTANTS = 3000


@pytest.fixture(scope="module")
def our_validators():
    return validators()


def test_nothing_passes_the_compiled_check_that_the_library_rejects(our_validators):
    found, wrong = compare(our_validators, MUTANTS, 20)

    assert wrong == []
    assert found["compiled yes, library yes"] > MUTANTS / 5


@pytest.mark.parametrize("level", ["structure", "lint"])
def test_every_mutant_gets_a_result_and_a_valid_outcome_if_refused(our_validators, level):
    validator = our_validators.validator(Standards(level=level))
    spoiled = [orjson.dumps(resource) for resource in mutants(corpus(), random.Random(level), MUTANTS)]

    results = validate(validator, Chunk(spoiled)).resources

    assert {result.status for result in results} <= {"accepted", "flagged", "rejected", "unchecked"}
    outcomes = [orjson.loads(result.outcome) for result in results if result.outcome]
    assert [failure for outcome in outcomes if (failure := our_validators.library.failure(outcome))] == []
    assert validator.mismatches == 0


def test_bytes_cut_or_flipped_anywhere_get_a_result(our_validators):
    validator = our_validators.validator(Standards())
    rnd = random.Random(5)
    samples = [orjson.dumps(resource) for group in corpus().values() for resource in group]
    spoiled = [flipped(rnd.choice(samples), rnd) for _ in range(MUTANTS)]

    results = validate(validator, Chunk(spoiled)).resources

    assert len(results) == MUTANTS


def flipped(raw, rnd):
    changed = bytearray(raw[: rnd.randrange(len(raw))] if rnd.random() < 0.3 else raw)
    for _ in range(3):
        if changed:
            changed[rnd.randrange(len(changed))] = rnd.randrange(256)
    return bytes(changed)
