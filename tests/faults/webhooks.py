"""Comparing what `webhooks` holds with what the sender was told."""

from collections import Counter, defaultdict

from models import headers
from tests.faults.sender import Answer


def compare(answers: list[Answer], kept: list) -> dict[str, int]:
    """Return how many acknowledged bodies are lost, or behind one of the same patient that was sent later."""
    acknowledged = [answer.post for answer in answers if answer.status == 200]
    places = _places(kept)
    order: dict[int, list[bytes]] = defaultdict(list)
    for post in acknowledged:
        # A delivery of two patients is in two partitions, which have no order between them.
        if not post.poison and b'},{"patientId"' not in post.body:
            order[post.lane].append(post.body)
    wanted = {post.body for post in acknowledged}
    copies = Counter((record.value, headers.text(record.headers, headers.PATIENT_INDEX)) for record in kept)
    return {
        "acknowledged": len(acknowledged),
        "kept": len(kept),
        "kept_more_than_once": sum(count - 1 for count in copies.values()),
        "acknowledged_and_lost": sum(body not in places for body in wanted),
        "patients_out_of_order": sum(_jumps(bodies, places) for bodies in order.values()),
    }


def _places(kept: list) -> dict[bytes, tuple[int, int]]:
    """Return where each body is first, by partition and offset."""
    places: dict[bytes, tuple[int, int]] = {}
    for record in kept:
        place = record.partition, record.offset
        places[record.value] = min(place, places.get(record.value, place))
    return places


def _jumps(bodies: list[bytes], places: dict[bytes, tuple[int, int]]) -> bool:
    """Return whether the bodies of one patient are not in the order in which they were acknowledged."""
    found: dict[int, list[int]] = defaultdict(list)
    for body in dict.fromkeys(bodies):
        if body in places:
            partition, offset = places[body]
            found[partition].append(offset)
    return any(offsets != sorted(offsets) for offsets in found.values())
