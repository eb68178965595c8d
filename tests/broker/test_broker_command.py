import json

import pytest

from cli.main import main


@pytest.fixture
def command(tmp_path, capsys):
    """Run `metriport-streams broker …` on a folder of its own and return its exit code and what it printed as JSON."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["broker", *arguments, "--data-dir", str(tmp_path), "--json"])
        return ended.value.code, json.loads(capsys.readouterr().out)

    yield run
    run("stop")


def test_a_broker_started_by_the_command_runs_on_until_it_is_stopped(command):
    started, facts = command("start")
    during, state = command("status")
    stopped = command("stop")
    after, _ = command("status")

    assert (started, during, after) == (0, 0, 1)
    assert state == facts | {"state": "running"}
    assert stopped == (0, {"stopped": True})


def test_stopping_where_none_runs_is_fine(command):
    assert command("stop") == (0, {"stopped": False})
