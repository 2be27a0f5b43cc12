"""A file system of some megabytes, which can be filled up and freed again."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.local.processes import Child, stop, wait_until

CHUNK = bytes(64 * 1024)
MEGABYTE = 1024 * 1024

MOUNT_SECONDS = 10


class NoSmallDisk(Exception):
    """This machine lets us mount nothing."""


class SmallDisk:
    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        status = os.statvfs(folder)
        # Rather no test than a machine whose own disk is full.
        if status.f_blocks * status.f_frsize > megabytes * MEGABYTE:
            raise NoSmallDisk(f"{folder} is not the small file system")

    def fill(self) -> None:
        try:
            with self._ballast.open("ab", buffering=0) as ballast:
                while True:
                    ballast.write(CHUNK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def free(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """In memory, and gone afterwards. Its folder is one that the user of a server can enter."""
    place = Path(tempfile.mkdtemp(prefix="shop-small-disk-"))
    place.chmod(0o711)
    mounted = _mounted_by_root if os.geteuid() == 0 else _mounted_in_a_namespace
    try:
        with mounted(place, f"size={megabytes}m,mode=0755") as folder:
            yield SmallDisk(folder, megabytes)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _mounted_by_root(place: Path, options: str) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoSmallDisk(str(error)) from error  # no `mount` here
    if done.returncode:
        raise NoSmallDisk(done.stderr.strip())
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def _mounted_in_a_namespace(place: Path, options: str) -> Iterator[Path]:
    """A process that is root in a namespace of its own mounts it there, and holds it; the kernel
    shows it to the same user outside."""
    log = place.with_name(f"{place.name}.log")
    script = 'mount -t tmpfs -o "$1" tmpfs "$0" && echo mounted && exec sleep infinity'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    holder = Child(name="holder", command=[*command, str(place), options], log=log)
    try:
        holder.start()
        wait_until(
            lambda: "mounted" in holder.last_lines(1) or not holder.is_running,
            seconds=MOUNT_SECONDS,
        )
        if not holder.is_running:
            raise NoSmallDisk(" ".join(holder.last_lines(1)))
        yield Path(f"/proc/{holder.pid}/root{place}")
    except FileNotFoundError as error:
        raise NoSmallDisk(str(error)) from error  # no `unshare` here
    finally:
        stop([holder], seconds=5)
        log.unlink(missing_ok=True)
