"""One process per spool folder: two writers would each drain what the other one wrote."""

import fcntl
import os
from pathlib import Path

from models import privacy
from models.errors import Misconfigured

FILE_NAME = "spool.lock"


class SpoolLock:
    """An exclusive lock on a folder, held until `release` or the end of the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock, making the folder if need be, or raise `Misconfigured`."""
        try:
            privacy.keep(folder)
            self._file = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Misconfigured(f"SPOOL_DIR {folder} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise Misconfigured(
                f"SPOOL_DIR {folder} is in use by another ingress; give each ingress a folder of its own"
            ) from None

    def release(self) -> None:
        """Let the next process have the folder."""
        os.close(self._file)


def is_in_use(folder: Path) -> bool:
    """Tell whether an ingress has the folder right now."""
    try:
        file = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared, so that two who ask do not take each other for an ingress.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)
