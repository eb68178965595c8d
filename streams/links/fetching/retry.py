"""Decide which failures are tried again, how often and how fast: the one place to change how links are retried. No I/O.

`until_ended` is the loop, for fetching a link and for reading a bulk result from the store; `may_retry` is its rule,
`RetryPolicy` its numbers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina

from models.errors import MetriportStreamsError
from models.reasons import LinkReason
from streams.links import events
from streams.links.link import StoredBody

Result = TypeVar("Result")

# An outage, ours or theirs: it passes, and until it does only the deadline counts.
_OUTAGES = frozenset({"server_error", "unreachable", "timed_out"})
# Seldom passes, but has been seen to: a link sent before its object was there, a connection cut.
_DOUBTFUL = frozenset({"forbidden", "not_found", "truncated", "bad_answer", "too_slow", "wrong_hash", "unprocessable"})
# Says something about what else leads to the same content: it is too large, or comes from where nothing comes from.
_OF_THE_CONTENT = frozenset({"too_large", "server_error", "unreachable", "timed_out", "too_slow"})
EXPIRED = frozenset({"forbidden", "not_found"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how fast. Only tests set other numbers."""

    attempts_max: int = 4  # for failures that seldom pass; outages are retried until the deadline
    wait_s: float = 0.5  # before the second attempt; twice as long before each further one, and up to `wait_s` more
    wait_s_max: float = 15.0


DEFAULT_POLICY = RetryPolicy()


class Failure(MetriportStreamsError):
    """An attempt failed. Carries nothing that came with the delivery or the answer; `body` is what was kept of it."""

    def __init__(
        self, reason: LinkReason, body: StoredBody | None = None, *, expired: bool = False, final: bool | None = None
    ) -> None:
        """`expired`: the server itself said that the link is dead. `final`: whether another attempt follows is decided.

        What came of a body is kept only where no attempt follows, so that is decided before the attempt has ended.
        """
        super().__init__(reason)
        self.reason: LinkReason = reason
        self.body = body
        self.expired = expired
        self.final = final


class StoreUnavailable(MetriportStreamsError):
    """The blob store does not take or give what it should. Nothing is recorded as long as that is so."""


class _Again(Exception):
    """Another attempt follows."""


def may_retry(failure: Failure, *, attempt: int, left_s: float, policy: RetryPolicy) -> bool:
    """Return whether to try the same link again; `attempt` counts from 1, `left_s` is its deadline from now."""
    if failure.final is not None:
        return not failure.final
    if left_s <= 0 or failure.expired:
        return False
    if failure.reason in _OUTAGES:
        return True
    return failure.reason in _DOUBTFUL and attempt < policy.attempts_max


def is_expired(failure: Failure, *, left_s: float) -> bool:
    """Return whether the link is dead of age: to have its content, it must be asked for again."""
    return failure.expired or (failure.reason in EXPIRED and left_s <= 0)


def may_differ(failure: Failure) -> bool:
    """Return whether another link to the same content may work where this one did not."""
    return failure.reason not in _OF_THE_CONTENT and not failure.expired


async def until_ended(
    attempt: Callable[[int], Awaitable[Result]],
    policy: RetryPolicy,
    *,
    left_s: Callable[[], float] = lambda: 0.0,
    failed: Callable[[], None] = lambda: None,
) -> Result:
    """Return what `attempt` returns, called with its number, from 1; raise the `Failure` that no attempt follows.

    `failed` is called when one failed and another one follows. A store that is away is waited for without limit: what
    cannot be stored is not lost as long as the link lives, and nothing is recorded before we know.
    """
    async for each in stamina.retry_context(
        on=_Again,
        attempts=None,
        timeout=None,
        wait_initial=policy.wait_s,
        wait_max=policy.wait_s_max,
        wait_jitter=policy.wait_s,
    ):
        with each:
            try:
                return await attempt(each.num)
            except StoreUnavailable as error:
                events.STORE_AWAY(error=str(error))
            except Failure as failure:
                if not may_retry(failure, attempt=each.num, left_s=left_s(), policy=policy):
                    raise
            failed()
            raise _Again
    raise AssertionError("unreachable: stamina raises what the last attempt raised")
