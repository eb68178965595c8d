"""Settings: what is missing or wrong is said by name, without its value."""

import pytest

from ingress.settings import IngressSettings
from models.errors import Misconfigured
from models.settings import CatalogueSettings, KafkaSettings, load, renamed
from streams.bundles.settings import BundlesSettings
from streams.links.settings import LinksSettings
from streams.settings import StageSettings

OLD, NEW = "wh-key_old_0123456789", "wh-key_new_0123456789"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch, tmp_path):
    for name in ("METRIPORT_WEBHOOK_KEYS", "KAFKA_BOOTSTRAP_SERVERS", "TOPIC_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_every_listed_key_is_taken(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", f"{OLD}, {NEW},")

    settings = load(IngressSettings)

    assert settings.webhook_keys == (OLD.encode(), NEW.encode())


def test_what_is_missing_is_named():
    with pytest.raises(Misconfigured, match=r"KAFKA_BOOTSTRAP_SERVERS.*METRIPORT_WEBHOOK_KEYS"):
        load(IngressSettings)


@pytest.mark.parametrize("keys", [None, "", " , "], ids=["unset", "empty", "commas"])
def test_without_a_key_it_is_said_plainly_what_to_set(monkeypatch, keys):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    if keys is not None:
        monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", keys)

    with pytest.raises(Misconfigured) as caught:
        load(IngressSettings)

    assert str(caught.value) == (
        "METRIPORT_WEBHOOK_KEYS is not set. Set it to the webhook key that Metriport's dashboard shows, or to several"
        " with commas between."
    )


@pytest.mark.parametrize("short", ["k", "01234"])
def test_a_key_that_can_be_guessed_is_refused_by_its_place(monkeypatch, short):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", f"{NEW},{short}")

    with pytest.raises(Misconfigured) as caught:
        load(IngressSettings)

    assert str(caught.value) == (
        "METRIPORT_WEBHOOK_KEYS: key 2 is shorter than 6 characters, so it is not the one that Metriport's dashboard"
        " shows."
    )


def test_bodies_held_at_once_have_room_for_a_small_one_of_each_connection_and_a_large_one(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", NEW)
    monkeypatch.setenv("CONNECTIONS_MAX", "10000")

    with pytest.raises(Misconfigured, match=r"INFLIGHT_BYTES_MAX must be at least .*: 688914432\."):
        load(IngressSettings)


def test_a_wrong_value_is_named_but_not_shown(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", "secret-key_0123456789")
    monkeypatch.setenv("BODY_BYTES_MAX", "secret-number")

    with pytest.raises(Misconfigured) as caught:
        load(IngressSettings)

    assert "BODY_BYTES_MAX" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_keys_are_not_shown_when_settings_are_printed(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", "secret-key_0123456789")

    assert "secret-key_0123456789" not in repr(load(IngressSettings))


def test_the_worker_needs_no_webhook_key(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:9092, b:9092")

    assert load(LinksSettings).kafka_bootstrap_servers == "a:9092,b:9092"


def test_the_defaults_are_the_promised_ones(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", NEW)

    settings = load(IngressSettings)

    assert settings.topic_prefix == "metriport."
    assert (settings.topic_partitions, load(CatalogueSettings).topic_replication) == (12, 3)
    assert (settings.ingress_host, settings.ingress_port) == ("0.0.0.0", 8080)
    assert str(settings.spool_dir) == "var/spool"
    assert settings.body_bytes_max == 33554432


def test_an_address_without_a_port_is_refused(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost")

    with pytest.raises(Misconfigured, match="KAFKA_BOOTSTRAP_SERVERS"):
        load(KafkaSettings)


@pytest.mark.parametrize(
    "origin",
    [
        *("127.0.0.1:9000", "http://", "http://x:99999", "http://x:0", "http://[x", "ftp://x", "http://u@x"),
        *("http://x/path", "http://x?q"),
    ],
)
def test_an_origin_that_is_none_is_refused_at_start(monkeypatch, origin):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("FETCH_TRUSTED_ORIGINS", f"http://127.0.0.1:9000,{origin}")

    with pytest.raises(Misconfigured, match="FETCH_TRUSTED_ORIGINS"):
        load(LinksSettings)


def test_links_go_to_the_port_of_https_unless_an_operator_says_otherwise(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    assert load(LinksSettings).fetch_allowed_ports == (443,)

    monkeypatch.setenv("FETCH_ALLOWED_PORTS", "443, 8443")
    assert load(LinksSettings).fetch_allowed_ports == (443, 8443)


@pytest.mark.parametrize(
    "servers",
    ["", ",", "kafka", "kafka:", ":9092", ":::", "kafka:port", "kafka:0", "kafka:99999", "http://kafka:9092", "a:1,b"],
)
def test_what_is_no_address_of_a_broker_is_said_before_anything_starts(servers):
    with pytest.raises(Misconfigured, match="KAFKA_BOOTSTRAP_SERVERS: must be host:port"):
        load(KafkaSettings, kafka_bootstrap_servers=servers)


@pytest.mark.parametrize("servers", ["kafka:9092", "10.0.0.1:9092, b:9093", "[::1]:9092", "kafka-1.example.com:65535"])
def test_addresses_of_brokers_are_taken(servers):
    assert load(KafkaSettings, kafka_bootstrap_servers=servers).kafka_bootstrap_servers == servers.replace(" ", "")


@pytest.mark.parametrize(("name", "kind"), [("SPOOL_DIR", IngressSettings), ("STATE_DIR", StageSettings)])
def test_an_empty_folder_is_not_the_one_that_the_process_stands_in(monkeypatch, name, kind):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", NEW)
    monkeypatch.setenv(name, "")

    with pytest.raises(Misconfigured, match=f"{name}: is empty; name a folder"):
        load(kind)


def test_a_setting_that_has_another_name_now_works_by_the_old_one_and_is_told(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    assert (load(StageSettings).kafka_fetch_bytes_max, renamed()) == (4 * 2**20, [])

    monkeypatch.setenv("FETCH_BYTES_MAX", "100000")

    assert load(StageSettings).kafka_fetch_bytes_max == 100_000
    assert renamed() == ["FETCH_BYTES_MAX is KAFKA_FETCH_BYTES_MAX now. The old name works in this release only."]


def test_an_old_name_in_a_file_is_told_too(tmp_path):
    (tmp_path / ".env").write_text("FETCH_BYTES_MAX=100000\n")

    assert renamed() != []


def test_the_new_name_counts_where_both_are_set(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("FETCH_BYTES_MAX", "100000")
    monkeypatch.setenv("KAFKA_FETCH_BYTES_MAX", "200000")

    assert load(StageSettings).kafka_fetch_bytes_max == 200_000


@pytest.mark.parametrize(
    ("name", "value", "kind", "said"),
    [
        ("SPOOL_BYTES_MAX", "1", IngressSettings, "SPOOL_BYTES_MAX must be 0, for no spool, or have room"),
        ("RECORD_BYTES_MAX", "1000000000", KafkaSettings, "RECORD_BYTES_MAX: .* less than or equal to 100663296"),
        ("KAFKA_SSL_KEYFILE", "key.pem", KafkaSettings, "KAFKA_SSL_KEYFILE is of no use without KAFKA_SSL_CERTFILE"),
        ("FHIR_STATE_TYPES", "Patient,Pacient", CatalogueSettings, "FHIR R4 has no resource type 'Pacient'"),
        ("FHIR_LEVEL_BY_TYPE", '{"Pacient": "off"}', BundlesSettings, "FHIR R4 has no resource type 'Pacient'"),
        ("BLOB_STORE_URL", "var/blobs", LinksSettings, "BLOB_STORE_URL: must begin with file://"),
        ("BLOB_STORE_URL", "file://var/blobs", LinksSettings, "BLOB_STORE_URL: must be an absolute path"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(monkeypatch, name, value, kind, said):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", NEW)
    monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured, match=said):
        load(kind)
