import ssl
from pathlib import Path
from unittest.mock import MagicMock

import faust
import pytest

from streams.engine import app as engine_app
from streams.engine.app import create
from streams.engine.driver.app import credentials
from streams.engine.kafka.security import for_aiokafka
from streams.engine.settings import Security
from tests.unit.engine.fakes import settings
from tests.unit.engine.jobs import Fold

SASL = Security(protocol="SASL_SSL", username="u", password="secret", ssl_context=ssl.create_default_context())


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
    mine, theirs = for_aiokafka(SASL), credentials(SASL)

    assert (mine["sasl_plain_username"], mine["sasl_mechanism"]) == (theirs.username, "SCRAM-SHA-512")
    assert mine["ssl_context"] is theirs.ssl_context
    assert isinstance(theirs, faust.SASLCredentials)


def test_nothing_is_asked_of_an_open_kafka():
    assert (for_aiokafka(Security()), credentials(Security())) == ({"security_protocol": "PLAINTEXT"}, None)


def test_a_password_is_not_in_the_settings_text():
    assert "secret" not in repr(SASL)
