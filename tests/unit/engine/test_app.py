from pathlib import Path
from unittest.mock import MagicMock

import faust
import pytest

from models.security import security_options
from models.settings import KafkaSettings
from streams.engine import app as engine_app
from streams.engine.app import create
from streams.engine.driver.app import credentials
from tests.unit.engine.fakes import settings
from tests.unit.engine.jobs import Fold

SASL = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "u", "kafka_sasl_password": "secret"}


def security(**told):
    return security_options(KafkaSettings(kafka_bootstrap_servers="a:1", **told))


@pytest.fixture
def app(tmp_path):
    return create(Fold(), settings(state_dir=tmp_path, bootstrap_servers="one:1,two:2", partitions=3)).app


def test_fausts_own_web_server_is_off(app):
    assert not app.conf.web_enabled


def test_every_broker_address_is_known(app):
    assert [url.host for url in app.conf.broker] == ["one", "two"]


def test_topics_are_not_made_by_the_worker(app):
    assert (app.conf.topic_allow_declare, app.conf.topic_disable_leader) == (False, True)


def test_the_changelog_has_its_pinned_name(app):
    assert app.tables["state"].changelog_topic.get_topic_name() == "test-state-changelog"


def test_the_state_lies_in_the_stages_own_folder(app, tmp_path):
    assert tmp_path / "test" in Path(app.conf.tabledir).parents


def test_a_worker_that_has_not_joined_is_not_ready(tmp_path):
    worker = create(Fold(), settings(state_dir=tmp_path))

    assert not worker.health().ready


def test_a_session_longer_than_a_request_is_allowed(tmp_path):
    worker = create(Fold(), settings(state_dir=tmp_path, session_timeout_s=600.0))

    assert worker.app.conf.broker_request_timeout == 600.0


def test_faust_does_not_look_for_partitions_that_may_be_gone(app):
    # Its look for a livelock asked the subscription of a consumer that had none, and that ended the process.
    app.transport.Consumer.verify_event_path(object(), 0.0, ("in", 0))


def test_whatever_ends_faust_ends_the_stage_in_our_words(tmp_path, monkeypatch):
    ended = []
    monkeypatch.setattr(engine_app, "die", lambda error, stage: ended.append((error, stage)))
    worker = create(Fold(), settings(state_dir=tmp_path))
    monkeypatch.setattr(worker.work_file, "tell_crashes", lambda: None)

    def broken(_):
        raise AttributeError("Jane Doe")

    monkeypatch.setattr(faust.Worker, "execute_from_commandline", broken)
    monkeypatch.setattr(engine_app, "tuning", MagicMock())

    engine_app.run(worker)

    assert [(type(error), stage) for error, stage in ended] == [(AttributeError, "test")]


def test_credentials_reach_faust_and_aiokafka_alike():
    mine = security(**SASL)

    theirs = credentials(mine)

    assert isinstance(theirs, faust.SASLCredentials)
    assert (theirs.username, theirs.password, theirs.mechanism.value) == ("u", "secret", "SCRAM-SHA-512")
    assert (theirs.username, theirs.password) == (mine["sasl_plain_username"], mine["sasl_plain_password"])
    assert mine["ssl_context"] is theirs.ssl_context is not None


def test_tls_without_sasl_reaches_faust():
    mine = security(kafka_security_protocol="SSL")

    theirs = credentials(mine)

    assert isinstance(theirs, faust.SSLCredentials)
    assert theirs.context is mine["ssl_context"]


def test_nothing_is_asked_of_an_open_kafka():
    assert (security(), credentials(security())) == ({"security_protocol": "PLAINTEXT"}, None)


def test_a_password_is_not_in_the_settings_text():
    assert "secret" not in repr(settings(security=security(**SASL)))
