"""Cut a text into lines while it comes, in time that grows with its length and memory that does not. Pure."""


class Lines:
    """The lines of one text; what is longer than `bytes_max` is cut to one byte more, so that it can be told."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._line = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in `chunk`, without their ends."""
        first, *others = chunk.split(b"\n")
        self._append(first)
        if not others:
            return []
        *whole, last = others
        lines = [bytes(self._line), *(line[: self._bytes_max + 1] for line in whole)]
        self._line.clear()
        self._append(last)
        return lines

    def end(self) -> list[bytes]:
        """Return what has no end: one line, or none."""
        return [bytes(self._line)] if self._line else []

    def _append(self, piece: bytes) -> None:
        self._line += piece[: self._bytes_max + 1 - len(self._line)]
