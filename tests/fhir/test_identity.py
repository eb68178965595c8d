"""Two facts never become one, one fact never becomes two. `tests.fhir.identity_campaign` is the full run."""

from tests.fhir.pairs import DIFFERENT, SAME


def test_there_are_enough_pairs_and_each_has_a_name_of_its_own():
    names = [pair.name for pair in (*DIFFERENT, *SAME)]

    assert min(len(DIFFERENT), len(SAME)) >= 150
    assert len(set(names)) == len(names)
