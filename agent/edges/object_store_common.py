"""What folders and buckets of backups have in common: a private folder to work in, and the words of their errors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import BackupError, NotFoundError


@contextmanager
def work_folder(parent: Path | None) -> Iterator[Path]:
    """A folder of our own below `parent` (None: the system's temporary folder), gone afterwards."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="deploy-agent-", dir=parent) as folder:  # mode 0700
        yield Path(folder)


def missing(where: str) -> NotFoundError:
    """There is no such object; `where` without secrets."""
    return NotFoundError(
        f"there is no {where}", code="notfound.backup", hint="`deploy-agent backup list` shows what there is."
    )


def refused(where: str, why: str) -> BackupError:
    """The place does not do what was asked."""
    return BackupError(
        f"the backup target refuses {where}: {why}",
        code="backup.target_failed",
        hint="Check that the place exists, that the credentials may read and write there, and that it can be reached.",
    )
