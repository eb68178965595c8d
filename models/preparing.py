"""What settings lean on, looked at before anything starts: folders that are written to, addresses listened on."""

import errno
import socket
import tempfile
from pathlib import Path

from models import privacy
from models.errors import Misconfigured


def folder(setting: str, path: Path, *, look_within: bool = True) -> None:
    """Make the folder, its owner's only, and try to write there; raise `Misconfigured` if that cannot be."""
    try:
        privacy.keep(path, look_within=look_within)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise Misconfigured(f"{setting}: {path} cannot be used as a folder: {why}.") from None


def address(setting: str, host: str) -> None:
    """Raise `Misconfigured` if nothing can listen on `host`: a name that nobody knows, or another machine's address."""
    try:
        found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):  # the latter for a name that can be none
        raise Misconfigured(f"{setting}: there is no address of the name {host!r}.") from None
    for family, kind, protocol, _, place in found:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.bind(place)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise Misconfigured(f"{setting}: {host} is no address of this machine.") from None
