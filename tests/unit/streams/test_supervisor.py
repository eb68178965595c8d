"""When a stage is started again."""

import pytest

from streams.supervisor import FIRST_PAUSE_S, HEALTHY_AFTER_S, LAST_PAUSE_S, pause_after


@pytest.mark.parametrize(
    ("previous_s", "ran_s", "expected"),
    [
        pytest.param(0.0, 1.0, FIRST_PAUSE_S, id="first-time"),
        pytest.param(0.5, 1.0, 1.0, id="again-soon"),
        pytest.param(LAST_PAUSE_S, 1.0, LAST_PAUSE_S, id="no-longer-than-the-longest"),
        pytest.param(LAST_PAUSE_S, HEALTHY_AFTER_S, FIRST_PAUSE_S, id="after-a-healthy-run"),
    ],
)
def test_the_pause_grows_until_a_stage_ran_well(previous_s, ran_s, expected):
    assert pause_after(previous_s, ran_s=ran_s) == expected
