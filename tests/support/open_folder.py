"""A folder for processes of other users: as root, Postgres runs as one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """Other users may get there. It is outside of pytest's own folder, which every pytest of the
    same user closes to others when it starts, whatever is running there."""
    folder = Path(tempfile.mkdtemp(prefix=f"shop-{name}-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
