import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cli import checkup
from cli.checkup import Finding
from cli.main import main
from ingress.settings import IngressSettings

WELL = Finding(what="x", well=True, says="")
WRONG = Finding(what="x", well=False, says="")
AWAY = Finding(what="x", well=False, says="", unreachable=True)


@pytest.fixture
def settings():
    """Build settings of an ingress that is well, with any of them changed."""

    def build(**changes):
        given = {"kafka_bootstrap_servers": "kafka:9092", "metriport_webhook_keys": "k" * 32}
        return IngressSettings(_env_file=None, **(given | changes))

    return build


@pytest.mark.parametrize(
    ("findings", "code"), [([WELL], 0), ([WELL, WRONG], 1), ([WRONG, AWAY], 3)], ids=["well", "wrong", "unreachable"]
)
def test_the_exit_code_says_how_bad_it_is(findings, code):
    assert checkup.exit_code(findings) == code


@pytest.mark.parametrize(("keys", "well"), [("k" * 32, True), ("for-trying-out-only-not-a-secret", False)])
def test_a_key_that_cannot_be_metriports_is_found_and_not_shown(settings, keys, well):
    finding = checkup.keys(settings(metriport_webhook_keys=keys))

    assert finding.well is well
    assert keys not in finding.says


def test_a_body_that_does_not_fit_into_a_record_is_found(settings):
    assert not checkup.sizes(settings(body_bytes_max=40 * 2**20)).well
    assert checkup.sizes(settings()).well


def test_a_folder_that_is_not_there_yet_is_judged_by_where_it_would_be(tmp_path):
    assert checkup.folder("spool", tmp_path / "a" / "b").well
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_the_room_it_may_need_is_found(tmp_path):
    assert not checkup.folder("spool", tmp_path, free_bytes_min=2**60).well


async def test_a_stage_that_is_not_ready_says_what_it_waits_for():
    async def not_ready(_):
        return web.json_response({"ready": False, "waiting_for": "in/0: a record is unfinished for 61 s"}, status=503)

    app = web.Application()
    app.add_routes([web.get("/ready", not_ready)])
    async with TestClient(TestServer(app)) as client:
        finding = await checkup._ready(client.session, "deliveries", str(client.make_url("/ready")))

    assert (finding.well, finding.says) == (False, "not ready, waits for in/0: a record is unfinished for 61 s")


def test_an_installation_whose_kafka_is_away_is_unreachable_and_shows_no_key(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", "planted-key-value")
    monkeypatch.setenv("INGRESS_PORT", "1")
    monkeypatch.setenv("WORKER_PORT", "0")

    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])

    printed = capsys.readouterr().out
    found = {each["what"]: each["well"] for each in json.loads(printed)}
    assert ended.value.code == 3
    assert (found["kafka"], found["ingress"]) == (False, False)
    assert "planted" not in printed


async def test_records_that_nobody_reads_are_a_trouble_of_a_stage_that_is_ready():
    async def ready(_):
        return web.json_response({"ready": True, "records_nobody_reads": 70})

    app = web.Application()
    app.add_routes([web.get("/ready", ready)])
    async with TestClient(TestServer(app)) as client:
        finding = await checkup._ready(client.session, "deliveries", str(client.make_url("/ready")))

    assert (finding.well, finding.says.split(" ")[0]) == (False, "70")
