"""The name by which a process is known in rows that it writes."""

import os
import socket

LONGEST_NAME = 120


def process_name() -> str:
    """`host:process id`. After a fork, the child's own."""
    return name_of(os.getpid())


def name_of(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}"[:LONGEST_NAME]


def host_of(name: str) -> str:
    """The host or container of the process with this name."""
    return name.rpartition(":")[0] or name
