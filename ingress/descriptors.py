"""File descriptors: every connection takes one, and with none left senders are turned away without a word."""

import resource

# Kafka's connections, the spool's files, the log, and what the runtime has for itself.
OWN = 64
BACKLOG = 1024


def shared_out(limit: int, *, connections_max: int) -> tuple[int, int]:
    """Return how many connections there may be, and how many may be let in at once, with `limit` descriptors.

    Those that are let in at once exist beside the others until it is known who makes room for them.
    """
    free = max(limit - OWN, 2)
    connections = min(connections_max, max(free - BACKLOG, free // 2))
    return connections, min(BACKLOG, free - connections)


def raised(connections_max: int) -> int:
    """Raise this process's own limit as far as is needed and allowed; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections_max + BACKLOG + OWN
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a limit of its own below the hard one it tells
        return soft
    return wanted
