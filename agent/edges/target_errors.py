"""What psycopg and libpq raise, translated into the agent's errors: once, here.

After the connection stands, the SQLSTATE decides (PostgreSQL documentation, appendix A). While it is being made
libpq keeps no SQLSTATE, only text: see `target_diagnosis`.
"""

from __future__ import annotations

from types import MappingProxyType

import psycopg
from psycopg import pq
from psycopg.errors import Diagnostic

from agent.errors import InputError, StatementError, TargetError

#: SQLSTATE (or its class, two characters) → code, hint. A statement's own fault is the default.
STATEMENT_CODES: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {
        "42501": (
            "target.permission_denied",
            "Connect as the role that owns the object (on Supabase: postgres), or grant it the privilege.",
        ),
        "55P03": (
            "target.lock_timeout",
            "Another session holds a conflicting lock; wait for it or end it, then deploy again.",
        ),
        "25006": (
            "target.read_only",
            "The database or the session is read-only: connect to the primary, and check that the disk is not full.",
        ),
        "25P04": ("target.statement_timeout", "Raise transaction_timeout for this role, or split the migration."),
        "53300": ("target.too_many_connections", "Close unused sessions, or raise the pool size or max_connections."),
    }
)


def from_statement(error: psycopg.Error, *, label: str, closed: bool, cancelled: bool) -> TargetError:
    """The agent's error for one that psycopg raised.

    Args:
        label: `host:port/database`.
        closed: the connection is closed or broken now.
        cancelled: this session was asked to cancel by the agent.
    """
    if not error.sqlstate and not closed and isinstance(error, psycopg.DataError | psycopg.ProgrammingError):
        return TargetError(
            f"a value cannot be passed between PostgreSQL and Python: {' '.join(str(error).split())}",
            code="target.value",
            hint="Cast it to text in the query.",
        )
    return from_diagnostic(
        error.sqlstate or "", error.diag, str(error), label=label, closed=closed, cancelled=cancelled
    )


def from_result(result: pq.abc.PGresult, *, label: str, closed: bool, cancelled: bool) -> TargetError:
    """The same for an error result that was read without psycopg's cursor."""
    diag = Diagnostic(result, "utf-8")
    text = result.error_message.decode(errors="replace")
    return from_diagnostic(diag.sqlstate or "", diag, text, label=label, closed=closed, cancelled=cancelled)


def from_diagnostic(
    sqlstate: str, diag: Diagnostic, text: str, *, label: str, closed: bool, cancelled: bool
) -> TargetError:
    """Choose class and code by the SQLSTATE; see `from_statement`."""
    message = diag.message_primary or text.strip() or "the server gave no reason"
    # A SQLSTATE of class 08 alone says nothing: it may be that of a foreign server. FATAL ends the session.
    if closed or diag.severity_nonlocalized in {"FATAL", "PANIC"}:
        return connection_lost(label, message)
    if not sqlstate:
        return TargetError(f"{label}: {message}", code="target.protocol", hint="This is a bug in the agent.")
    code, hint = _code_and_hint(sqlstate, message, cancelled=cancelled)
    return StatementError(
        message,
        code=code,
        hint=hint,
        sqlstate=sqlstate,
        detail=diag.message_detail or "",
        server_hint=diag.message_hint or "",
        position=int(diag.statement_position) if diag.statement_position else None,
        context=diag.context or "",
        constraint=diag.constraint_name or "",
    )


def _code_and_hint(sqlstate: str, message: str, *, cancelled: bool) -> tuple[str, str]:
    if sqlstate == "57014":
        # One SQLSTATE for both; only the text tells a timeout (in the server's language, so our own flag goes first).
        if not cancelled and "statement timeout" in message:
            return "target.statement_timeout", "Raise deploy.statement_timeout_s, or split the migration."
        return "target.cancelled", "" if cancelled else "Somebody cancelled this statement on the server."
    return STATEMENT_CODES.get(sqlstate, ("target.statement_failed", ""))


def copy_refused() -> StatementError:
    """COPY FROM STDIN in a migration: a file has no second stream to take the rows from."""
    return StatementError(
        "COPY FROM STDIN cannot run here: there is no data to copy",
        sqlstate="0A000",
        code="target.copy_from_stdin",
        hint="Write the rows as INSERT, or load them with psql.",
    )


def connection_lost(label: str, reason: str) -> TargetError:
    """The session is gone; what it was doing is in doubt."""
    return TargetError(
        f"the connection to {label} was lost: {' '.join(reason.split())}",
        code="target.connection_lost",
        hint="What the last statement did is in doubt until the database has been looked at again.",
    )


def bad_dsn(name: str = "database_url") -> InputError:
    """The connection string cannot be parsed. libpq's own text may quote a part of the password: it is left out."""
    return InputError(
        f"{name} is not a PostgreSQL connection string",
        code="input.database_url",
        hint="Write postgresql://user:password@host:5432/postgres; percent-encode @ : / # % in the password.",
        where={"field": name},
    )
