"""Start one command and print its process id; then let go of it, or end it when the starter is gone.

Run as a script by a bare interpreter: `launcher.py (tied|detached) LOCK_FD COMMAND…`. When tied, standard input is
the lifeline: the starter holds the other end, so its death, even by kill -9, is an end of file here. The command
inherits LOCK_FD, a locked file: the lock is held for exactly as long as the command lives.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

STOP_TIMEOUT_S = 20.0
PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def end_with_parent() -> None:
    """Have the kernel end this process when its parent dies: covers a launcher that is itself killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end_at_eof(child: subprocess.Popen[bytes]) -> None:
    """Wait for the end of standard input, then end the child: asked first, then made to."""
    sys.stdin.buffer.read()
    child.terminate()
    try:
        child.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()


def main(mode: str, lock_fd: int, command: list[str]) -> int:
    """Run `command` as `mode` says and return the exit code of this process."""
    tied = mode == "tied"
    child = subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        pass_fds=[lock_fd],
        preexec_fn=end_with_parent if tied and sys.platform == "linux" else None,  # noqa: PLW1509 - no threads yet
    )
    # Only the command holds the lock from here on: when it dies, the lock is free at once.
    os.close(lock_fd)
    os.write(sys.stdout.fileno(), b"%d\n" % child.pid)
    os.close(sys.stdout.fileno())
    if not tied:
        return 0
    threading.Thread(target=end_at_eof, args=[child], daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    # The interpreter's own clean-up would complain about the closed standard output.
    os._exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]) & 0xFF)
