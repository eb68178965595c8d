"""Who did something is told, also on a machine that has no name for the user."""

import getpass

from cli import audit


def test_a_user_without_a_name_is_a_number(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)

    assert audit.operator().split("@")[0].isdigit()
