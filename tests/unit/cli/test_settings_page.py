"""The page of settings is what the code says."""

import pytest

from cli import settings_page


def test_the_page_is_made_from_the_settings_as_they_are():
    assert settings_page.PAGE.read_text() == settings_page.page(), "run: python -m cli.settings_page"


@pytest.mark.parametrize("name", settings_page.fields())
def test_every_setting_is_on_the_page_once(name):
    assert settings_page.page().count(f"| `{name.upper()}` |") == 1


@pytest.mark.parametrize(
    "row",
    [
        "| `KAFKA_BOOTSTRAP_SERVERS` | required |  | Broker addresses, `host:port,host:port`. |",
        "| `STOP_TIMEOUT_S` | 20 | above 0 to 600 s |",
        "| `RECORD_BYTES_MAX` | 41943040 (40 MiB) | from 1048576 (1 MiB) to 100663296 (96 MiB) |",
        "| `FHIR_LEVEL` | `structure` | `off`, `structure`, `lint` |",
        "| `DEDUPLICATE` | true | `true`, `false` |",
        "| `FETCH_ALLOWED_HOSTS` | `amazonaws.com,metriport.com` |",
    ],
)
def test_a_setting_is_told_with_its_default_its_limits_and_its_unit(row):
    assert row in settings_page.page()
