"""Why an attempt to fetch a link failed, and whether another one may help. Pure."""

from models.reasons import LinkReason
from streams.links.limits import FetchLimits
from streams.links.link import Facts

# An outage, ours or theirs: it passes, and until it does only the deadline counts.
_OUTAGES = frozenset({"server_error", "unreachable", "timed_out"})
# Seldom passes, but has been seen to: a link sent before its object was there, a connection cut.
_DOUBTFUL = frozenset({"forbidden", "not_found", "truncated", "bad_answer", "too_slow", "wrong_hash", "unprocessable"})
# Says something about what else leads to the same content: it is too large, or comes from where nothing comes from.
_OF_THE_CONTENT = frozenset({"too_large", "server_error", "unreachable", "timed_out", "too_slow"})
EXPIRED = frozenset({"forbidden", "not_found"})


class Failure(Exception):
    """An attempt failed. Carries nothing that came with the delivery or the answer; `facts` is what was kept of it."""

    def __init__(self, reason: LinkReason, facts: Facts | None = None, *, expired: bool = False) -> None:
        super().__init__(reason)
        self.reason: LinkReason = reason
        self.facts = facts
        self.expired = expired  # the server itself said that the link is dead


def may_retry(failure: Failure, *, attempt: int, left_s: float, limits: FetchLimits) -> bool:
    """Tell whether to try the same link again; `attempt` counts from 1, `left_s` is its deadline from now."""
    if left_s <= 0 or failure.expired:
        return False
    if failure.reason in _OUTAGES:
        return True
    return failure.reason in _DOUBTFUL and attempt < limits.attempts_max


def is_expired(failure: Failure, *, left_s: float) -> bool:
    """Tell whether the link is dead of age: to have its content, it must be asked for again."""
    return failure.expired or (failure.reason in EXPIRED and left_s <= 0)


def may_differ(failure: Failure) -> bool:
    """Tell whether another link to the same content may work where this one did not."""
    return failure.reason not in _OF_THE_CONTENT and not failure.expired
