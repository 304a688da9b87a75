"""Files that a step writes."""

from pathlib import Path
from typing import BinaryIO


def new_file(path: Path) -> BinaryIO:
    """A file that was not there, opened in the caller's own thread.

    A file that another thread opens for a task that is cancelled meanwhile is nobody's, and stays open.

    Raises:
        FileExistsError: it was there.
        OSError: it cannot be made.
    """
    return path.open("xb")
