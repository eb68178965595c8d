"""What a process keeps from other users of the machine: its files, and its memory when it crashes."""

import contextlib
import os
import resource
import stat
from pathlib import Path

from models import telemetry

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def begin() -> None:
    """Have this process and its children write files that only their own user can read, and no core dumps.

    The first thing a process does, before it writes anything.
    """
    os.umask(_OTHERS)
    # A core dump is the memory, patients' data included, in a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep(folder: Path, *, look_within: bool = True) -> None:
    """Make the folder, and close it and all that is in it to other users, however it was made.

    Without `look_within`, only if the folder itself was open: for one with more files than can be looked at each time.
    Raise `OSError` if the folder cannot be made; one that belongs to somebody else, or holds more than is ours, is told
    and used as it is.
    """
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    if _is_shared(folder):
        telemetry.FOLDER_OPEN(folder=str(folder))
        return
    was_open = bool(folder.stat().st_mode & _OTHERS)
    try:
        # First, so that at once nobody gets at what is within.
        _close(folder)
    except PermissionError:
        telemetry.FOLDER_OPEN(folder=str(folder))
    if was_open or look_within:
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                # Gone in the meantime, or not ours.
                with contextlib.suppress(OSError):
                    _close(Path(parent, name))


def is_open(path: Path) -> bool:
    """Tell whether other users of the machine may do anything with what is at `path`."""
    return bool(path.stat().st_mode & _OTHERS)


def _is_shared(folder: Path) -> bool:
    """Tell whether to close it would close what is not ours: a folder for everybody, as /tmp is, or one we stand in."""
    # Not `Path.home`: it raises where a user has none, as a container's may.
    resolved, stood_in = folder.resolve(), [Path.cwd(), Path(os.path.expanduser("~"))]  # noqa: PTH111
    return bool(resolved.stat().st_mode & stat.S_ISVTX) or any(place.is_relative_to(resolved) for place in stood_in)


def _close(path: Path) -> None:
    mode = path.lstat().st_mode
    if mode & _OTHERS and not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
