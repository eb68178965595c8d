import asyncio
import json
import ssl

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cli import checkup
from cli.checkup import Finding
from cli.main import main
from ingress.settings import IngressSettings
from models import signature
from models.settings import KafkaSettings
from streams.settings import StageSettings

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


@pytest.fixture
def here(monkeypatch, tmp_path):
    """A folder of an installation whose Kafka is away and in which nothing runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("INGRESS_PORT", "1")
    monkeypatch.setenv("WORKER_PORT", "0")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", "wh-key_0123456789")
    return tmp_path


def doctor(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments])
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("part", "looked_at"),
    [
        ("ingress", {"settings", "keys", "sizes", "spool", "set aside", "kafka", "ingress"}),
        ("worker", {"settings", "state", "blob store", "kafka"}),
        ("deliveries", {"settings", "state", "kafka"}),
        ("links", {"settings", "state", "blob store", "kafka"}),
    ],
)
def test_only_what_is_to_run_here_is_looked_at(capsys, part, looked_at):
    _, out, _ = doctor(capsys, "--for", part, "--json")

    assert {each["what"] for each in json.loads(out)} == looked_at


@pytest.mark.usefixtures("here")
def test_an_unknown_part_is_a_usage_error_that_names_the_parts(capsys):
    code, _, said = doctor(capsys, "--for", "downloads")

    assert code == 2
    assert "ingress, worker, deliveries" in said


@pytest.mark.usefixtures("here")
def test_all_lines_go_to_standard_output(capsys):
    _, out, err = doctor(capsys, "--for", "ingress")

    assert "WRONG  kafka" in out
    assert "well   spool" in out
    assert err == ""


@pytest.mark.usefixtures("here")
def test_settings_of_one_stage_are_looked_at(monkeypatch, capsys):
    monkeypatch.setenv("FHIR_LEVEL", "x")

    wrong, right = doctor(capsys, "--for", "bundles")[1], doctor(capsys, "--for", "links")[1]

    assert "WRONG  settings    FHIR_LEVEL: must be 'off', 'structure' or 'lint'." in right + wrong
    assert "FHIR_LEVEL" not in right


@pytest.mark.usefixtures("here")
def test_without_a_key_the_rest_is_looked_at_all_the_same(monkeypatch, capsys):
    monkeypatch.delenv("METRIPORT_WEBHOOK_KEYS")

    _, out, _ = doctor(capsys, "--for", "ingress")

    assert "WRONG  settings    METRIPORT_WEBHOOK_KEYS is not set." in out
    assert "well   spool" in out


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("FETCH_BYTE_MAX", "FETCH_BYTE_MAX is no setting; perhaps KAFKA_FETCH_BYTES_MAX is meant."),
        ("SPOOL_DIRECTORY_NAME", "SPOOL_DIRECTORY_NAME is no setting."),
        ("LOG_LEVELS", "LOG_LEVELS is no setting; perhaps LOG_LEVEL is meant."),
        ("FETCH_BYTES_MAX", "FETCH_BYTES_MAX is KAFKA_FETCH_BYTES_MAX now. The old name works in this release only."),
    ],
)
def test_a_name_that_looks_like_a_setting_and_is_none_is_noted_once(monkeypatch, capsys, name, says):
    monkeypatch.setenv(name, "100000")

    _, out, _ = doctor(capsys, "--for", "ingress")

    assert out.count(f"note   settings    {says}") == 1


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["KAFKA_HEAP_OPTS", "LOGNAME", "HOST"])
def test_a_name_of_somebody_else_is_not_noted(monkeypatch, capsys, name):
    monkeypatch.setenv(name, "1")

    assert name not in doctor(capsys, "--for", "ingress")[1]


async def test_a_blob_store_takes_gives_and_removes_an_object(tmp_path):
    finding = await checkup.blob_store(tmp_path.as_uri())

    assert finding.well
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_blob_store_that_is_none_is_found():
    finding = await checkup.blob_store("az://container")

    assert (finding.well, finding.says) == (False, "BLOB_STORE_URL cannot be used: Account must be specified.")


async def test_a_blob_store_that_is_not_there_yet_is_not_made(tmp_path):
    assert (await checkup.blob_store((tmp_path / "blobs").as_uri())).well
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
async def listening():
    """Make a server that speaks TLS with a certificate of this authority, or does not; return its address."""
    servers = []

    async def make(authority=None):
        context = None
        if authority:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert("127.0.0.1").configure_cert(context)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        servers.append(server)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield make
    for server in servers:
        server.close()


def entering(address, **changes):
    return KafkaSettings(_env_file=None, kafka_bootstrap_servers=address, **changes)


async def test_a_kafka_that_wants_tls_is_told_to_who_comes_without(listening):
    address = await listening(trustme.CA())

    assert await checkup.entry(entering(address)) == (
        f"{address} speaks TLS, KAFKA_SECURITY_PROTOCOL is PLAINTEXT: SSL would fit"
    )


async def test_a_kafka_without_tls_is_told_to_who_comes_with_it(listening):
    address = await listening()
    sasl = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "u", "kafka_sasl_password": "p"}

    assert await checkup.entry(entering(address, **sasl)) == (
        f"{address} does not speak TLS, KAFKA_SECURITY_PROTOCOL is SASL_SSL: SASL_PLAINTEXT would fit"
    )


async def test_a_certificate_that_is_not_trusted_is_told(listening, tmp_path):
    authority = trustme.CA()
    address = await listening(authority)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trusting = entering(address, kafka_security_protocol="SSL", kafka_ssl_cafile=tmp_path / "ca.pem")

    assert "is not trusted: set KAFKA_SSL_CAFILE" in await checkup.entry(
        entering(address, kafka_security_protocol="SSL")
    )
    assert await checkup.entry(trusting) is None


async def test_a_running_ingress_with_another_key_is_found_and_no_key_is_shown():
    theirs, ours = b"wh-key_of_the_ingress", b"wh-key_set_here_only"

    async def receive(request):
        body = await request.read()
        signed = signature.matches(body, request.headers[signature.HEADER], key=theirs)
        return web.json_response({"pong": "doctor"}, status=200 if signed else 401)

    async def ready(_):
        return web.json_response({"ready": True})

    app = web.Application()
    app.add_routes([web.get("/ready", ready), web.post("/webhooks/metriport", receive)])
    async with TestServer(app) as server:
        found = await checkup.ingress(str(server.make_url("")).rstrip("/"), [theirs, ours])

    assert [each.well for each in found] == [True, False]
    assert "does not accept key 2 of METRIPORT_WEBHOOK_KEYS" in found[1].says
    assert "wh-key" not in found[1].says


@pytest.mark.parametrize(("says_it_is", "well"), [("bundles", True), ("links", False)])
async def test_a_stage_is_well_only_if_it_is_the_one_that_answers(says_it_is, well):
    async def ready(_):
        return web.json_response({"stage": says_it_is, "ready": True})

    app = web.Application()
    app.add_routes([web.get("/ready", ready)])
    async with TestServer(app) as server:
        settings = StageSettings(_env_file=None, kafka_bootstrap_servers="kafka:9092", worker_port=server.port)
        (finding,) = await checkup.stages(["bundles"], settings)

    assert finding.well is well
