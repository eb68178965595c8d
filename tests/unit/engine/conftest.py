"""The engine tells a lot in a property test, and none of it is what these tests are about."""

import logging

import pytest

from models import telemetry


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(telemetry, "_level", logging.CRITICAL + 1)
    monkeypatch.setattr(telemetry, "_LEVELS", dict.fromkeys(telemetry._LEVELS, logging.DEBUG))
