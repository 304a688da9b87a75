"""Every error a user can meet, as one tree.

    AgentError
    ├── InputError          exit 3, HTTP 422   what the user wrote is wrong: settings, migrations, runbook
    ├── TargetError         exit 4, HTTP 502   the database cannot be reached, or refuses
    │   └── StatementError  exit 4, HTTP 502   one SQL statement failed; carries the SQLSTATE
    ├── ToolError           exit 5, HTTP 503   pg_dump and its kin: missing, too old, failed
    ├── BackupError         exit 5, HTTP 503   a backup cannot be written, read or trusted
    ├── PreflightError      exit 6, HTTP 409   the deploy was refused before it touched anything
    ├── BusyError           exit 11, HTTP 409  somebody else is deploying, or owns the volume
    ├── NotFoundError       exit 12, HTTP 404  no such deploy, backup or version
    ├── AuthError           exit 13, HTTP 401  the HTTP API was called without a valid token
    │   ├── ForbiddenError  exit 13, HTTP 403  the token may not do this
    │   └── TooOftenError   exit 13, HTTP 429  too many calls without a valid token
    ├── WaitTimeoutError    exit 14, HTTP 504  `wait` ran out of time
    ├── DeliveryError       exit 15, HTTP 502  a notification did not arrive
    ├── StoreError          exit 16, HTTP 503  the agent's own store cannot be read or written
    ├── PlatformError       exit 19, HTTP 502  the Management API cannot be reached, or refuses
    ├── UnfinishedError     exit 18, HTTP 503  `serve` was stopped, and a deploy is still under way
    ├── HealthError         exit 20, HTTP 503  `health`: the agent does not answer, or is not ready
    └── StateError          exit 1, HTTP 409   an illegal transition: a bug, and nothing was changed

Exit codes 7 to 10 belong to how a deploy ended (see `agent.core.states.EXIT_CODES`).

An error says what happened (`message`), what to do (`hint`) and is named by a stable `code`
(`family.reason`), which is documented in docs/errors.md and never changes its meaning.
The class gives family, exit code and HTTP status; the code tells one case from another.
"""

from __future__ import annotations

from typing import ClassVar


class AgentError(Exception):
    """Base of all errors that are shown to a user.

    Args:
        message: one sentence: what is wrong, and where (file, line, field, host). Never a secret.
        code: stable name `family.reason`, lower case, for instance `target.unreachable`.
        hint: one sentence: what to do about it.
        where: the place, for machines: `{"file": …, "line": …, "column": …, "field": …}`.
    """

    family: ClassVar[str] = "agent"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        where: dict[str, str | int] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or f"{self.family}.error"
        self.hint = hint
        self.where = dict(where or {})

    def as_dict(self) -> dict[str, object]:
        """The error as small JSON: `code`, `message`, `hint`, `where`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "where": self.where}


class InputError(AgentError):
    """What the user wrote is wrong: a setting, a migration file, a runbook."""

    family = "input"
    exit_code = 3
    http_status = 422


class TargetError(AgentError):
    """The database cannot be reached, or refuses what the agent asks."""

    family = "target"
    exit_code = 4
    http_status = 502


class StatementError(TargetError):
    """One SQL statement failed on the target.

    Args:
        message: the server's primary message.
        sqlstate: five characters, see PostgreSQL documentation, appendix A.
        detail: the server's DETAIL, or "".
        server_hint: the server's HINT, or "".
        position: 1-based character offset in the statement where the server saw the error, or None.
        context: the server's CONTEXT, or "".
        constraint: name of the violated constraint, or "".
    """

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str,
        detail: str = "",
        server_hint: str = "",
        position: int | None = None,
        context: str = "",
        constraint: str = "",
        code: str | None = None,
        hint: str = "",
        where: dict[str, str | int] | None = None,
    ) -> None:
        super().__init__(message, code=code or "target.statement_failed", hint=hint, where=where)
        self.sqlstate = sqlstate
        self.detail = detail
        self.server_hint = server_hint
        self.position = position
        self.context = context
        self.constraint = constraint


class ToolError(AgentError):
    """A PostgreSQL client program is missing, too old, or failed."""

    family = "tool"
    exit_code = 5
    http_status = 503


class BackupError(AgentError):
    """A backup cannot be written, read or trusted."""

    family = "backup"
    exit_code = 5
    http_status = 503


class PreflightError(AgentError):
    """The deploy was refused before it touched anything."""

    family = "preflight"
    exit_code = 6
    http_status = 409


class BusyError(AgentError):
    """Somebody else is deploying to this database, or owns this volume."""

    family = "busy"
    exit_code = 11
    http_status = 409


class NotFoundError(AgentError):
    """There is no such deploy, backup or version."""

    family = "notfound"
    exit_code = 12
    http_status = 404


class AuthError(AgentError):
    """The HTTP API was called without a valid token."""

    family = "auth"
    exit_code = 13
    http_status = 401


class ForbiddenError(AuthError):
    """The HTTP API was called with a token that may not do this."""

    http_status = 403


class TooOftenError(AuthError):
    """The HTTP API was called too often without a valid token."""

    http_status = 429


class WaitTimeoutError(AgentError):
    """`wait` ran out of time before the database had the version."""

    family = "wait"
    exit_code = 14
    http_status = 504


class DeliveryError(AgentError):
    """A notification did not arrive.

    Args:
        message: what the receiver answered, without the receiver's URL (it may hold a secret).
        permanent: trying again cannot help (for instance HTTP 404 or 410).
        retry_after: seconds the receiver asked to wait, or None.
    """

    family = "delivery"
    exit_code = 15
    http_status = 502

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        code: str | None = None,
        hint: str = "",
        where: dict[str, str | int] | None = None,
    ) -> None:
        super().__init__(message, code=code or "delivery.failed", hint=hint, where=where)
        self.permanent = permanent
        self.retry_after = retry_after


class StoreError(AgentError):
    """The agent's own store cannot be read or written: locked, read-only, damaged, full, unreachable."""

    family = "store"
    exit_code = 16
    http_status = 503


class PlatformError(AgentError):
    """The Management API of Supabase cannot be reached, or refuses.

    Args:
        message: what was asked and what came back; never the token.
        status: the HTTP status, or None where there was no answer.
        missing_permissions: what the API says that the token lacks, in its words.
        in_doubt: the request may have taken effect, and was not repeated: look before anything else is done.
    """

    family = "platform"
    exit_code = 19
    http_status = 502

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        missing_permissions: tuple[str, ...] = (),
        in_doubt: bool = False,
        code: str | None = None,
        hint: str = "",
        where: dict[str, str | int] | None = None,
    ) -> None:
        super().__init__(message, code=code or "platform.failed", hint=hint, where=where)
        self.status = status
        self.missing_permissions = missing_permissions
        self.in_doubt = in_doubt


class UnfinishedError(AgentError):
    """`serve` was stopped and a deploy is still under way: start the agent again."""

    family = "serve"
    exit_code = 18
    http_status = 503


class HealthError(AgentError):
    """`health`: the agent that should run here does not answer, or is not ready."""

    family = "health"
    exit_code = 20
    http_status = 503


class StateError(AgentError):
    """An illegal transition was asked for; nothing was changed."""

    family = "state"
    exit_code = 1
    http_status = 409
