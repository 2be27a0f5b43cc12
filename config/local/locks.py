"""Locks on files, which the kernel takes back when the process that holds one ends."""

import fcntl


def take_lock(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock the open file at once. False where another process holds a lock on it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
