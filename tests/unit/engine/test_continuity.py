from streams.engine.driver.continuity import Continuity
from streams.engine.fingerprints import Fingerprint

TP, OTHER = ("in", 0), ("in", 1)
FINGERPRINT = Fingerprint(9, 0, b"d")


def looked(clock=lambda: 0.0) -> tuple[Continuity, object]:
    """A reader behind `FINGERPRINT`, which has looked at it over the connection that is returned."""
    continuity, connection = Continuity(clock), object()
    continuity.begin({TP: FINGERPRINT})
    continuity.looked({TP: connection})
    return continuity, connection


def test_the_first_records_are_not_taken_before_a_look_at_the_last_ones():
    continuity = Continuity()
    continuity.begin({TP: FINGERPRINT})

    assert continuity.doubtful({TP: object(), OTHER: object()}) == {TP: FINGERPRINT}


def test_what_comes_by_the_same_connection_needs_no_look():
    continuity, connection = looked()

    assert continuity.doubtful({TP: connection}) == {}


def test_what_comes_by_another_connection_or_by_none_needs_a_look():
    continuity, _ = looked()

    assert continuity.doubtful({TP: object()}) == continuity.doubtful({TP: None}) == {TP: FINGERPRINT}


def test_the_last_record_taken_is_the_one_to_look_at():
    continuity, _ = looked()
    continuity.took(TP, Fingerprint(10, 0, b"e"))

    assert continuity.doubtful({TP: object()}) == {TP: Fingerprint(10, 0, b"e")}


def test_a_look_is_repeated_after_a_minute():
    now = [0.0]
    continuity, connection = looked(lambda: now[0])
    now[0] = 61.0

    assert continuity.doubtful({TP: connection}) == {TP: FINGERPRINT}
