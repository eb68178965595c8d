"""Tell until when a link works: what the link itself says, else what Metriport documents. Pure."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from models import messages

LIFE_S_DEFAULT = 180
# AWS signs for a week at most:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
EXPIRES_S_MAX = 7 * 24 * 60 * 60
EXPIRES_DIGITS_MAX = 6


def deadline(url: str, *, kind: str, when: datetime, received: datetime) -> datetime:
    """Return the moment `url` stops working; `when` is when the delivery of type `kind` was sent, both in UTC.

    Whatever the link says of itself, that is not later than a week after it was `received`: nobody signs for longer.
    """
    life_s = messages.TYPES[kind].link_life_s if kind in messages.TYPES else LIFE_S_DEFAULT
    until = signed_until(url) or when + timedelta(seconds=life_s)
    return min(until, received + timedelta(seconds=EXPIRES_S_MAX))


def signed_until(url: str) -> datetime | None:
    """Return `X-Amz-Date` + `X-Amz-Expires`, or None where the link does not have both, well formed."""
    try:
        # Not by `urlsplit`, which raises for odd hosts.
        text = url.partition("#")[0].partition("?")[2]
        query = {name.lower(): value for name, value in parse_qsl(text)}
        signed = datetime.strptime(query["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return signed + timedelta(seconds=_expires_s(query["x-amz-expires"]))
    except (KeyError, ValueError, OverflowError):
        return None


def _expires_s(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= EXPIRES_DIGITS_MAX):
        raise ValueError
    return min(int(text), EXPIRES_S_MAX)
