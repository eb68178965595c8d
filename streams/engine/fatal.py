"""Ends the process: nothing unfinished was committed, so leaving at once is always safe; a restart reads it again."""

import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from models import telemetry
from models.errors import MetriportStreamsError

EXIT_CODE = 70
_last_acts: list[Callable[[], None]] = []


class Fatal(MetriportStreamsError):
    """The stage cannot go on. The message is for an operator and carries no data."""


def before_end(act: Callable[[], None]) -> None:
    """Have `act` called, from whatever thread, when the process ends by its own decision."""
    _last_acts.append(act)


def die(why: BaseException | str, *, stage: str) -> NoReturn:
    """Log why, in words that cannot carry data, and end the process."""
    sentence, error = (why, "") if isinstance(why, str) else ("unexpected error", where(why))
    if isinstance(why, Fatal):
        sentence = str(why)
    for act in _last_acts:
        act()
    telemetry.FATAL(stage=stage, sentence=sentence, error=error)
    logging.shutdown()
    os._exit(EXIT_CODE)


def where(error: BaseException) -> str:
    """Return the type of `error` and the lines that led to it, without its message: that may quote a record."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    path = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {path}" if path else type(error).__name__
