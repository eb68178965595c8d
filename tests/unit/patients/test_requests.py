"""What is known of a request does not depend on the order of its answers, nor on how often they come."""

import itertools
import random
from types import SimpleNamespace

import orjson
import pytest

from models import samples, states
from streams.deliveries.normalize import normalize
from streams.patients import requests
from streams.patients.job import PatientsJob
from tests.unit import contract

PATIENT = "01936b20-48f8-7d49-8bc6-50e0c4986011"


def answer(name, *, number, request="r-1", **payload):
    """One delivery as the stage reads it, `number` seconds into the minute."""
    delivery = samples.load(name)
    delivery["meta"] |= {"messageId": f"m-{number}", "requestId": request, "when": f"2026-02-01T10:00:{number:02}.000Z"}
    part = delivery["patients"][0] if "patients" in delivery else delivery["payload"]
    part |= payload
    found = normalize(delivery, index=0, received_at="2026-02-01T10:01:00.000Z")
    return found.topic, found.value


def source(name, status, *, of=None):
    return {"source": {"type": name, "source": of, "status": status}}


class Stage:
    """The stage's decisions over one state, as the engine makes them record by record."""

    def __init__(self):
        self.job = PatientsJob("p.")
        self.state, self.published = {}, {}

    def take(self, facts):
        for offset, (topic, value) in enumerate(facts):
            fact = self.job.decode(
                SimpleNamespace(topic=f"p.{topic}", partition=0, offset=offset, value=value, headers=())
            )
            for output in self.job.apply(fact, self):
                self.published[output.topic.removeprefix("p."), output.key.decode()] = orjson.loads(output.value)
        return self

    def get(self, key):
        return self.state.get(key)

    def put(self, key, value):
        assert contract.state_breaches(key, value) == []
        self.state[key] = value

    def request(self, name="r-1"):
        shown = self.published["requests", f"{PATIENT}/{name}"]
        assert contract.differences(states.RequestState, shown) == []
        return shown

    def patient(self):
        shown = self.published["patients", PATIENT]
        assert contract.differences(states.PatientState, shown) == []
        return shown


NETWORK_QUERY = [
    answer("network-query.hie.first-data-ready", number=1),
    answer("network-query.hie", number=2, **source("hie", "completed")),
    answer("network-query.pharmacy", number=3, **source("pharmacy", "completed", of="surescripts")),
    answer("network-query.lab", number=4, **source("lab", "failed", of="quest")),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_network_query_ends_the_same_in_whatever_order_its_sources_answer(order):
    ordered = Stage().take(NETWORK_QUERY)
    shuffled = Stage().take(NETWORK_QUERY[number] for number in order)

    assert (shuffled.request(), shuffled.patient()) == (ordered.request(), ordered.patient())
    assert ordered.request()["status"] == "partial"
    assert {name: part["status"] for name, part in ordered.request()["sources"].items()} == {
        "hie": "completed",
        "lab/quest": "failed",
        "pharmacy/surescripts": "completed",
    }


def test_after_the_first_data_the_exchanges_are_awaited_since_then():
    shown = Stage().take(NETWORK_QUERY[:1]).request()

    assert shown["status"] == "processing"
    assert shown["awaited"] == {"network-query.hie": "2026-02-01T10:00:01.000Z"}


def test_one_pharmacy_that_fails_is_not_hidden_by_another_that_completes():
    facts = [
        answer("network-query.pharmacy", number=number, **source("pharmacy", status, of=of))
        for number, (of, status) in enumerate([("surescripts", "completed"), ("other", "failed")])
    ]

    assert Stage().take(facts).request()["status"] == "partial"


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_document_query_awaits_whichever_of_its_two_answers_is_not_there_yet(order):
    facts = [
        answer("medical.document-download", number=1, status="completed"),
        answer("medical.document-conversion", number=2, status="completed"),
    ]
    first, second = (facts[number] for number in order)

    half, whole = Stage().take([first]).request(), Stage().take([first, second]).request()

    assert (half["status"], list(half["awaited"])) == ("processing", [second[0]])
    assert (whole["kind"], whole["status"], whole["awaited"]) == ("document-query", "completed", {})


def test_after_a_download_that_failed_no_conversion_is_awaited():
    shown = Stage().take([answer("medical.document-download", number=1, status="failed", documents=None)]).request()

    assert (shown["status"], shown["awaited"]) == ("failed", {})


def page(number, of=7):
    documents = [{"id": f"d-{number}-{each}", "url": "https://b/d"} for each in range(3)]
    pagination = {"page": number, "totalPages": of, "totalItems": 3 * of}
    name = "medical.document-bulk-download-paged"
    return answer(name, number=number, documents=documents, pagination=pagination)


def test_pages_count_once_in_whatever_order_and_however_often_they_come():
    pages = [page(number) for number in (1, 2, 3, 4, 5, 6, 7, 3, 5)]
    random.Random(7).shuffle(pages)

    stage = Stage().take(pages)

    assert stage.request()["pages"] == {"seen": 7, "total": 7}
    assert stage.request()["awaited"] == {}
    assert stage.patient()["messages"]["medical.document-bulk-download-paged"]["pages"] == {"seen": 7, "total": 7}


def test_a_request_of_which_a_page_is_missing_is_not_done():
    shown = Stage().take([page(1, of=3), page(3, of=3)]).request()

    assert (shown["status"], list(shown["awaited"]), shown["pages"]) == (
        "processing",
        ["pages"],
        {"seen": 2, "total": 3},
    )


@pytest.mark.parametrize(
    "pagination",
    [
        None,
        [],
        {},
        {"page": "x", "totalPages": 2},
        {"page": 1},
        {"page": 10**9, "totalPages": 1},
        {"page": 1, "totalPages": 0},
    ],
)
def test_pages_that_are_not_told_or_not_believable_are_none(pagination):
    assert requests.page({"pagination": pagination}) is None


@pytest.mark.parametrize("name", ["patient.admit", "patient.pharmacy", "message.status"])
def test_what_nobody_asked_for_answers_no_request(name):
    stage = Stage().take([answer(name, number=1)])

    assert [topic for topic, _ in stage.published] == ["patients"]


def test_an_answer_without_a_request_id_changes_the_patient_alone():
    stage = Stage().take([answer("medical.document-conversion", number=1, request=None)])

    assert [topic for topic, _ in stage.published] == ["patients"]
