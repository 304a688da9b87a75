"""What went wrong in pg_dump, pg_restore or psql, by its exit code and its last words.

The programs have no error codes of their own; they run with LC_ALL=C, so their words are those of the sources
(PostgreSQL, `src/bin/pg_dump`). psql runs with VERBOSITY=verbose and gives the SQLSTATE.
"""

from __future__ import annotations

import re

from agent.core.backups import disk_full
from agent.core.restore_failures import missing_privilege, server_disk_full
from agent.edges.pgtools_process import Program
from agent.errors import AgentError, BackupError, StatementError, TargetError, ToolError

_DISK_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_CONNECTION_LOST = (
    "server closed the connection unexpectedly",
    "terminating connection due to",
    "connection to server was lost",
    "SSL connection has been closed unexpectedly",
    "could not receive data from server",
    "no connection to the server",
)
# pg_dump makes its --lock-wait-timeout a statement_timeout, in force only for LOCK TABLE.
_LOCKED = ("could not obtain lock on", "canceling statement due to statement timeout")
_REFUSED = ("connection to server", "could not translate host name")
_REFUSED_BY_SERVER = re.compile(r"(?:ERROR|FATAL|PANIC):  (?P<message>.*)")
_ROLLED_BACK = "What had not committed was rolled back. Run it again once the database answers."
_SHOWN = 300  # characters of a failing statement
_VERBOSE = re.compile(r"(?:ERROR|FATAL|PANIC):\s+(?P<sqlstate>[0-9A-Z]{5}): (?P<message>.*)")


def explain_dump(program: Program, *, server: str) -> AgentError:
    """Why pg_dump failed."""
    said = "\n".join((*program.errors, *program.last))
    if any(mark in said for mark in _DISK_FULL):
        return disk_full(_line_with(said, _DISK_FULL))
    if any(mark in said for mark in _CONNECTION_LOST):
        return connection_lost(program.name, said)
    if any(mark in said for mark in _LOCKED):
        return BackupError(
            f"pg_dump waited for a lock: {program.complaint()}",
            code="backup.lock_not_available",
            hint="Something holds or waits for an exclusive lock on a table, or ended pg_dump's session there; "
            "see that it is over, then run again.",
        )
    return failed(program, server=server)


def connection_lost(
    name: str, said: str, *, hint: str = "Nothing was changed or left behind; run it again once the database answers."
) -> BackupError:
    """The server, or the way to it, went away."""
    return BackupError(
        f"{name} lost its connection to the database: {_line_with(said, _CONNECTION_LOST)}",
        code="backup.connection_lost",
        hint=hint,
    )


def failed(program: Program, *, server: str) -> ToolError:
    """A failure without a name of its own."""
    return ToolError(
        f"{program.name} failed on {server} (exit code {program.process.returncode}): {program.complaint()}",
        code="tool.failed",
        hint="The text is the program's own; it usually names the object, role or setting at fault.",
    )


def explain_psql(program: Program, *, server: str) -> AgentError:
    """Why psql failed: the statement's SQLSTATE if it told one."""
    said = "\n".join((*program.errors, *program.last))
    match = _VERBOSE.search(said)
    if match is not None and match["sqlstate"] not in {"57P01", "57P02", "57P03"}:
        return StatementError(
            match["message"],
            sqlstate=match["sqlstate"],
            detail=_field(said, "DETAIL"),
            server_hint=_field(said, "HINT"),
            context=_field(said, "CONTEXT"),
            where={"sql": _field(said, "STATEMENT")[:_SHOWN]},
        )
    if any(mark in said for mark in (*_CONNECTION_LOST, *_REFUSED)):
        return connection_lost(program.name, said, hint=_ROLLED_BACK)
    return failed(program, server=server)


def explain_load(program: Program, *, server: str) -> AgentError:
    """Why a parallel pg_restore failed. It does not tell SQLSTATEs, only the server's words."""
    said = "\n".join((*program.errors, *program.last))
    refused = _REFUSED_BY_SERVER.search(said)
    if any(mark in said for mark in _DISK_FULL):
        return server_disk_full(_line_with(said, _DISK_FULL))
    if any(mark in said for mark in _CONNECTION_LOST):
        return connection_lost(program.name, said, hint=_ROLLED_BACK)
    if refused is None:
        return unreadable("application", program.complaint())
    if refused["message"].startswith(("permission denied", "must be owner", "must be superuser", "must be able to")):
        return missing_privilege(f"{refused['message']}, at {server}")
    return TargetError(
        f"{server} refused a part of the backup: {refused['message']}",
        code="restore.statement_failed",
        hint="The text is the server's own; it names what is missing there, or in the way.",
    )


def unreadable(what: str, said: str) -> BackupError:
    """pg_restore cannot make sense of an archive."""
    return BackupError(
        f"the archive {what} cannot be read: {said}",
        code="backup.unreadable",
        hint="Do not rely on this backup; `deploy-agent backup verify` says which file is damaged.",
    )


def _line_with(said: str, marks: tuple[str, ...]) -> str:
    return next((line for line in said.splitlines() if any(mark in line for mark in marks)), "")


def _field(said: str, name: str) -> str:
    match = re.search(rf"{name}:\s+(.*)", said)
    return match[1] if match else ""
