"""Which failures are tried again, and how often."""

import pytest

from streams.links.fetching.retry import Failure, RetryPolicy, StoreUnavailable, may_retry, until_ended

POLICY = RetryPolicy(attempts_max=3, wait_s=0.0)


@pytest.mark.parametrize(
    ("failure", "attempt", "left_s", "again"),
    [
        pytest.param(Failure("unreachable"), 100, 1.0, True, id="an-outage"),
        pytest.param(Failure("unreachable"), 1, 0.0, False, id="an-outage-after-the-deadline"),
        pytest.param(Failure("not_found"), 2, 1.0, True, id="doubtful"),
        pytest.param(Failure("not_found"), 3, 1.0, False, id="doubtful-too-often"),
        pytest.param(Failure("not_found", expired=True), 1, 1.0, False, id="expired-as-the-server-says"),
        pytest.param(Failure("gone"), 1, 1.0, False, id="does-not-pass"),
        pytest.param(Failure("unreachable", final=True), 1, 1.0, False, id="decided-before"),
        pytest.param(Failure("not_found", final=False), 3, 0.0, True, id="decided-before-to-go-on"),
    ],
)
def test_only_what_may_pass_is_tried_again(failure, attempt, left_s, again):
    assert may_retry(failure, attempt=attempt, left_s=left_s, policy=POLICY) is again


class Attempts:
    """Fails as told, then succeeds."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.numbers, self.noted = [], 0

    async def __call__(self, number):
        self.numbers.append(number)
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    def failed(self):
        self.noted += 1

    async def ended(self):
        return await until_ended(self, POLICY, left_s=lambda: 1.0, failed=self.failed)


async def test_attempts_go_on_until_one_succeeds():
    attempts = Attempts(Failure("truncated"), Failure("unreachable"))

    assert await attempts.ended() == "done"
    assert (attempts.numbers, attempts.noted) == ([1, 2, 3], 2)


async def test_a_store_that_is_away_is_waited_for_without_limit():
    attempts = Attempts(*[StoreUnavailable("EIO")] * 10)

    assert await attempts.ended() == "done"
    assert attempts.noted == 10


async def test_the_failure_that_no_attempt_follows_is_raised_and_not_noted():
    attempts = Attempts(Failure("truncated"), Failure("gone"))

    with pytest.raises(Failure, match="gone"):
        await attempts.ended()
    assert attempts.noted == 1


async def test_an_error_that_is_no_failure_is_not_tried_again():
    attempts = Attempts(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        await attempts.ended()
    assert (attempts.numbers, attempts.noted) == ([1], 0)
