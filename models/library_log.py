"""What libraries say, and what ends a process, as facts for the log: where it is from and what kind it is, no values.

Libraries quote what they were given, and so do the messages of exceptions: patients' data may be in both.
"""

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

Emit = Callable[..., None]

FRAMES_MAX = 12
SILENT_S = 10.0
LINES_REMEMBERED_MAX = 256
_SENTENCE_CHARS_MAX = 200
_WARNING = re.compile(r"[^\n]*?:[0-9]+: (\w+Warning): ")
_QUOTES = re.compile(r"[\n'\"`<>\[\]{}=]|: ")


class Handler(logging.Handler):
    """Hands the lines of libraries on, as `emit(level, event, **facts)`; the same line once in `SILENT_S`.

    What Kafka's client tries again by itself is no error: at the first start of all there is no coordinator for groups
    yet, and it says so ten times a second.
    """

    def __init__(self, emit: Emit, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._emit = emit
        self._clock = clock
        self._said_at: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Tell which library it is, what it says without values, and what kind of error it is about."""
        error = record.exc_info[1] if record.exc_info else None
        said = sentence(record.msg, record.args)
        if self._is_repeated((record.name, said)):
            return
        facts: dict[str, Any] = {"library": record.name, "sentence": said}
        if isinstance(error, BaseException):
            facts |= told(error)
        level = min(record.levelno, logging.WARNING) if _is_tried_again(record.args) else record.levelno
        self._emit(level, "library_said", **facts)

    def _is_repeated(self, line: tuple[str, str]) -> bool:
        now = self._clock()
        if now - self._said_at.get(line, -SILENT_S) < SILENT_S:
            return True
        if len(self._said_at) >= LINES_REMEMBERED_MAX:
            self._said_at.clear()
        self._said_at[line] = now
        return False


def sentence(message: object, arguments: object) -> str:
    """Return what a library says: numbers and kinds of errors are kept, every other value is left out."""
    text = message if isinstance(message, str) else type(message).__name__
    if warning := _WARNING.match(text):
        return warning[1]  # Python's own warnings: the kind, not what it is about
    if not arguments:
        # It was put together before: what is quoted, and what stands behind a colon, may be anything.
        return _QUOTES.split(text, 1)[0].strip()[:_SENTENCE_CHARS_MAX]
    try:
        if isinstance(arguments, dict):
            filled = text % {name: _shown(value) for name, value in arguments.items()}
        else:
            filled = text % tuple(
                _shown(value) for value in (arguments if isinstance(arguments, tuple) else [arguments])
            )
    except (TypeError, ValueError, KeyError):
        filled = text
    return filled.split("\n", 1)[0][:_SENTENCE_CHARS_MAX]


def told(error: BaseException) -> dict[str, Any]:
    """Return the kind of an error, with those behind it, and where it was raised: no message, which may quote."""
    kinds: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(kinds) < FRAMES_MAX:
        kinds.append(type(seen).__name__)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    where = [f"{Path(frame.filename).stem}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": " < ".join(kinds), "where": where}


def take_crashes(emit: Emit) -> None:
    """Have what would end this process, one of its threads or tasks with a traceback told as an event."""

    def crash(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        emit(logging.CRITICAL, "crashed", **told(error))

    def crash_of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            emit(logging.CRITICAL, "thread_crashed", **told(args.exc_value))

    sys.excepthook = crash
    threading.excepthook = crash_of_thread
    sys.unraisablehook = lambda args: (
        emit(
            logging.ERROR,
            "library_said",
            library="python",
            sentence="an error that nobody could be told",
            **told(args.exc_value),
        )
        if args.exc_value is not None
        else None
    )
    logging.captureWarnings(capture=True)


def _is_tried_again(arguments: object) -> bool:
    """Whether a line is about an error that aiokafka calls retriable."""
    return isinstance(arguments, tuple) and any(getattr(each, "retriable", False) is True for each in arguments)


def _shown(value: object) -> object:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, type):
        return value.__name__
    return "..."
