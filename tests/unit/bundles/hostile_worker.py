"""A worker process in which some resources do what a bug in a C library might do."""

import os
import signal
import time

import orjson

from streams.bundles.validation import pool_process
from streams.bundles.validation.validator import Validator

SLOW, HANGS, DIES, EATS, RECURSES = (
    orjson.dumps({"resourceType": "Basic", "id": name, "code": {"text": "x"}})
    for name in ("slow", "hangs", "dies", "eats", "recurses")
)


def never_answer(_connection, _standards):
    time.sleep(60)


def end_at_once(_connection, _standards):
    os._exit(1)


def work(connection, standards):
    """Work as usual, but for the resources above."""
    usual = Validator.validate

    def validate(self, raw):
        if raw == SLOW:
            time.sleep(0.4)
        if raw == HANGS:
            time.sleep(60)
        if raw == DIES:
            os.kill(os.getpid(), signal.SIGSEGV)
        if raw == EATS:
            bytearray(2**33)
        if raw == RECURSES:
            validate(self, raw)
        return usual(self, raw)

    Validator.validate = validate
    pool_process.work(connection, standards)
