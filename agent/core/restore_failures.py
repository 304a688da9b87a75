"""The failures of a restore that have a name of their own, whoever notices them."""

from __future__ import annotations

import re

from agent.core.backups import Manifest
from agent.errors import AgentError, BackupError, StatementError, TargetError

_UNCHANGED = "The database is as it was before the restore."


def server_disk_full(said: str, *, left: str = _UNCHANGED) -> TargetError:
    """There is no room for what is restored.

    Args:
        said: the server's words.
        left: how the database is left, in one sentence.
    """
    return TargetError(
        f"the database server's disk is full: {said}",
        code="restore.server_disk_full",
        hint=f"Give the database more disk, then restore again. {left}",
    )


def agent_disk_full(said: str) -> BackupError:
    """There is no room for the backup's files where the agent reads them.

    Args:
        said: the folder, and the system's words.
    """
    return BackupError(
        f"no room to unpack the backup: {said}",
        code="restore.agent_disk_full",
        hint="Free space there, or set backup.work_dir to a larger disk, then try again. Nothing was changed.",
    )


def missing_privilege(said: str, *, left: str = _UNCHANGED) -> TargetError:
    """The role may not do what the restore needs.

    Args:
        said: what, and where.
        left: how the database is left, in one sentence.
    """
    return TargetError(
        f"the role may not do what the restore needs: {said}",
        code="restore.missing_privilege",
        hint=f"Restore as `postgres`, or grant what is missing, then restore again. {left}",
    )


def refuse_newer_server(manifest: Manifest, server_major: int) -> None:
    """What a newer server wrote may not be understood by an older one.

    Raises:
        TargetError: `restore.newer_server`.
    """
    wrote = major(manifest.server_version)
    if wrote > server_major:
        raise TargetError(
            f"backup {manifest.id} is of PostgreSQL {manifest.server_version}, the database has version {server_major}",
            code="restore.newer_server",
            hint=f"Restore into PostgreSQL {wrote} or newer. {_UNCHANGED}",
        )


def major(version: str) -> int:
    """Of `17.10 (Debian 17.10-1)` 17; 0 if it is no version."""
    match = re.match(r"\d+", version)
    return int(match[0]) if match else 0


def named(error: StatementError, *, left: str = _UNCHANGED) -> AgentError:
    """The failure that a refused statement stands for; the error itself where it has no name of its own.

    Args:
        left: how the database is left, in one sentence.
    """
    if error.sqlstate == "53100":
        return server_disk_full(error.message, left=left)
    if error.sqlstate == "42501":
        return missing_privilege(error.message, left=left)
    return error
