"""Locks on files, which the kernel takes back when the process that holds one ends."""

import fcntl


def take_lock(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock the open file at once. False where another process holds a lock on it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take_byte(descriptor: int, offset: int) -> bool:
    """Lock one byte of the open file, which may be beyond its end; False where another process
    holds a lock on it. A process that is forked from this one does not have the lock."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
    except (BlockingIOError, PermissionError):  # POSIX allows either
        return False
    return True
