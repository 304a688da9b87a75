"""What the deploy needs from outside, as protocols. `edges` fill them; `bootstrap` joins them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from agent.core.backups import StoredFile
from agent.core.models import (
    BackupRecord,
    BackupState,
    Deploy,
    DeployRequest,
    Event,
    Failure,
    NewEvent,
    OutboxMessage,
    OutboxState,
    Strategy,
)
from agent.core.states import Move, State

T = TypeVar("T")
Row = dict[str, Any]
Params = Mapping[str, Any]
Names = Mapping[str, str | tuple[str, ...]]


class Notice(Protocol):
    """A NOTICE or WARNING that the server raised while a statement ran."""

    @property
    def severity(self) -> str:
        """NOTICE, WARNING or INFO."""
        ...

    @property
    def message(self) -> str:
        """The primary message."""
        ...

    @property
    def detail(self) -> str:
        """The DETAIL, or ""."""
        ...

    @property
    def hint(self) -> str:
        """The HINT, or ""."""
        ...

    @property
    def sqlstate(self) -> str:
        """Five characters."""
        ...

    @property
    def part(self) -> int:
        """The 1-based number of the transaction of `run_transactions` that raised it; elsewhere 0.

        In `run_many` that of the statement, or of the one before it: libpq may hand over a NOTICE ahead of a result.
        """
        ...


class Session(Protocol):
    """One connection to the target.

    `params` fill `%(name)s`; without them the text goes to the server as it is. `names` fill
    `{name}` with quoted identifiers. A statement that fails raises `StatementError` with its
    SQLSTATE; a connection that dies raises `TargetError` with code `target.connection_lost`.
    """

    @property
    def pid(self) -> int:
        """The backend's process id."""
        ...

    async def rows(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> list[Row]:
        """Run one statement and return all its rows, by column name."""
        ...

    async def value(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> Any:  # noqa: ANN401 - whatever the column holds
        """Run one statement and return the first column of its only row, or None without a row."""
        ...

    async def run(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> str:
        """Run one statement and return its command tag, for instance `CREATE TABLE`."""
        ...

    async def run_many(self, statements: Sequence[str]) -> None:
        """Run several statements, in order, with as few round trips as possible, inside the open transaction.

        Raises:
            StatementError: `where["statement"]` is the 1-based index of the one that failed.
        """
        ...

    def bind(self, sql: str, params: Params, *, names: Names | None = None) -> str:
        """The statement with its values as quoted literals: for a place in `run_many` or `run_transactions`."""
        ...

    async def run_transaction(self, statements: Sequence[str]) -> None:
        """BEGIN, the statements, COMMIT, in one round trip; rolled back whole if one fails.

        Raises:
            StatementError: `where["statement"]` is the 1-based index of the one that failed;
                `where["at"] == "commit"` if it was the COMMIT (a deferred constraint).
            TargetError: `target.transaction_failed`: it was not committed.
        """
        ...

    async def run_transactions(self, transactions: Sequence[Sequence[str]]) -> None:
        """Several transactions, each as `run_transaction` has it, one after the other, in one round trip.

        The first one that fails ends it: those before it are committed, those behind it have not begun.

        Raises:
            StatementError: `where["transaction"]` is the 1-based index of the one that failed; the rest as of
                `run_transaction`.
            TargetError: `target.transaction_failed`: one was not committed; the history says which.
        """
        ...

    def transaction(self, *, read_only: bool = False, repeatable: bool = False) -> AbstractAsyncContextManager[None]:
        """BEGIN … COMMIT, or ROLLBACK when the body raises; nested: a savepoint.

        `repeatable`: REPEATABLE READ, one snapshot for all statements; only of the outermost.
        """
        ...

    def on_notice(self, listener: Callable[[Notice], None] | None) -> None:
        """Hear NOTICEs as they are raised (None: stop listening)."""
        ...

    async def cancel(self) -> None:
        """Ask the server to cancel what this session is running, from another connection."""
        ...

    async def in_transaction(self) -> bool:
        """Whether a transaction block is open (also a failed one)."""
        ...

    async def close(self) -> None:
        """Close the connection; does nothing the second time."""
        ...


class Target(Protocol):
    """The database that is deployed to."""

    @property
    def label(self) -> str:
        """`host:port/database` for people; never a password."""
        ...

    async def connect(self, *, purpose: str) -> Session:
        """Open a session (autocommit). `application_name` becomes `deploy-agent/<purpose>`.

        Raises:
            TargetError: `target.unreachable`, `target.auth_failed`, `target.tls_refused`,
                `target.transaction_pooler`, `target.database_missing`, `target.too_many_connections`.
        """
        ...

    def session(self, *, purpose: str) -> AbstractAsyncContextManager[Session]:
        """`connect`, closed at the end of the `async with`."""
        ...


class PgTools(Protocol):
    """pg_dump, pg_restore and psql, of the server's major version or newer, for one database."""

    async def versions(self) -> Mapping[str, str]:
        """Path and version of each tool found.

        Raises:
            ToolError: `tool.not_found`.
        """
        ...

    async def dump(
        self,
        *,
        server_major: int,
        schemas: Sequence[str],
        snapshot_id: str,
        into: Path,
        jobs: int,
        on_progress: Callable[[int], None],
        on_file: Callable[[StoredFile], Awaitable[None]],
        data_only: bool = False,
        without_tables: Sequence[str] = (),
    ) -> str:
        """Run `pg_dump --format=directory`; returns the tool's version.

        Args:
            into: a folder that does not exist yet.
            on_progress: called with the bytes written so far, a few times a second.
            on_file: called for each file once it is complete, with its name in `into`, size and hash.

        Raises:
            ToolError: `tool.not_found`, `tool.too_old`, `tool.failed` (with the tool's last lines).
            BackupError: `backup.disk_full`, `backup.connection_lost`, `backup.lock_not_available`.
        """
        ...

    async def listing(self, archive: Path) -> str:
        """`pg_restore --list` of a directory archive.

        Raises:
            BackupError: `backup.unreadable`.
        """
        ...

    async def restore(self, *, archive: Path, listing: str, before: str, after: str) -> None:
        """One transaction: the script `before`, the archive's entries in `listing`, the script `after`.

        Raises:
            BackupError: `backup.unreadable`, `backup.connection_lost`; nothing was changed.
            StatementError: the database refused a statement; nothing was changed.
        """
        ...


class Upload(Protocol):
    """A backup while it is written. Nothing of it can be seen before `publish`."""

    @property
    def folder(self) -> Path:
        """A local folder: files are made here, then given to `keep`."""
        ...

    async def free_bytes(self) -> int:
        """Free space where the files are made."""
        ...

    async def keep(self, name: str) -> None:
        """The file `name` in `folder` is complete.

        Raises:
            BackupError: `backup.disk_full`, `backup.target_failed`.
        """
        ...

    async def publish(self, manifest: bytes) -> None:
        """Make the backup visible, whole."""
        ...


class ObjectStore(Protocol):
    """Where backups lie: a folder, S3, GCS, Azure. Keys are relative, with `/`."""

    @property
    def label(self) -> str:
        """The place for people: `file:///…` or `s3://bucket/prefix`; never a secret."""
        ...

    def upload(self, prefix: str, *, work_dir: Path | None = None) -> AbstractAsyncContextManager[Upload]:
        """Start a backup under `prefix`; what was not published at the end of the `async with` is removed.

        Args:
            work_dir: make the files here (in a private folder) and not at the target itself.
        """
        ...

    def local(self, prefix: str) -> Path | None:
        """The folder of a published backup, where the store is a local folder."""
        ...

    async def sweep(self) -> list[str]:
        """Remove what broken-off uploads left; returns their names."""
        ...

    async def put_file(self, key: str, source: Path) -> int:
        """Store a file under `key`, whole or not at all; returns its size in bytes."""
        ...

    async def put_bytes(self, key: str, content: bytes) -> None:
        """Store a small object, whole or not at all."""
        ...

    async def get_bytes(self, key: str) -> bytes:
        """Read a small object. Raises NotFoundError."""
        ...

    def chunks(self, key: str) -> AsyncIterator[bytes]:
        """Read an object, a piece at a time. Raises NotFoundError."""
        ...

    async def keys(self, prefix: str) -> list[tuple[str, int]]:
        """Keys and sizes in bytes under a prefix, sorted."""
        ...

    async def delete(self, prefix: str) -> None:
        """Delete everything under a prefix."""
        ...


class Cipher(Protocol):
    """Encryption of a backup's files (age)."""

    @property
    def name(self) -> str:
        """What the manifest says, for instance `age`."""
        ...

    async def encrypt(self, source: Path, target: Path) -> StoredFile:
        """Encrypt a file, streamed; returns name, size and hash of the result.

        Raises:
            BackupError: `backup.disk_full`, `backup.encryption_failed`.
        """
        ...

    async def decrypt(self, source: Path, target: Path) -> None:
        """Decrypt a file, streamed.

        Raises:
            BackupError: `backup.identity_missing`, `backup.decryption_failed`.
        """
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, cancellably."""
        ...


class DeployStore(Protocol):
    """The agent's own memory. Each state write, its event and its outbox rows commit together.

    CancelledError out of a write means that it was written; an error that it was not, except `store.unreachable`,
    whose outcome is in doubt: the connection broke.
    """

    async def create(self, deploy_id: str, request: DeployRequest, *, now: datetime) -> Deploy:
        """Record a queued deploy.

        Raises:
            BusyError: `busy.deploying`: another deploy of the project is not final yet.
        """
        ...

    async def get(self, deploy_id: str) -> Deploy:
        """Raises NotFoundError `notfound.deploy`. An unambiguous prefix of the id is enough."""
        ...

    async def deploys(self, *, project: str = "", states: Sequence[State] = (), limit: int = 50) -> list[Deploy]:
        """Newest first."""
        ...

    async def transition(
        self,
        deploy_id: str,
        *,
        expected: State,
        move: Move,
        now: datetime,
        message: str,
        failure: Failure | None = None,
        backup_id: str = "",
        strategy: Strategy | None = None,
        versions: Sequence[str] | None = None,
    ) -> State:
        """`UPDATE … WHERE state = expected`, one event, one outbox row a notifier: one transaction.

        Doing the same move again from a state it already led to changes nothing (steps are at least once).

        Returns:
            The state now.

        Raises:
            StateError: `state.illegal`, `state.moved_on`: the deploy is elsewhere; nothing was changed.
        """
        ...

    async def append(self, deploy_id: str, events: Sequence[NewEvent]) -> None:
        """Record events, in order, in one transaction."""
        ...

    async def events(self, deploy_id: str, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with `seq > after`, in order."""
        ...

    async def put_evidence(self, deploy_id: str, name: str, content: str) -> None:
        """Keep (or replace) a named JSON text of a deploy: plan, snapshot."""
        ...

    async def get_evidence(self, deploy_id: str, name: str) -> str | None:
        """The text kept under that name, or None."""
        ...

    async def request_cancel(self, deploy_id: str, *, reason: str, now: datetime) -> Deploy:
        """Raise the cancel flag; a final deploy is returned as it is."""
        ...

    async def put_backup(self, record: BackupRecord) -> None:
        """Insert or replace."""
        ...

    async def backups(self, *, project: str = "") -> list[BackupRecord]:
        """Newest first."""
        ...

    async def set_backup_state(self, backup_id: str, state: BackupState, *, now: datetime) -> None:
        """Mark verified or damaged."""
        ...

    async def forget_backup(self, backup_id: str) -> None:
        """Its files are gone."""
        ...

    async def due_messages(self, *, now: datetime, limit: int) -> list[OutboxMessage]:
        """For each target its oldest pending message, if due: order per target is kept."""
        ...

    async def message_sent(self, message_id: int, *, now: datetime) -> None:
        """It arrived."""
        ...

    async def message_failed(self, message_id: int, *, error: str, due_at: datetime | None, now: datetime) -> None:
        """It did not; try again at `due_at`, or give it up (None: dead)."""
        ...

    async def undelivered(self) -> dict[tuple[str, OutboxState], int]:
        """How many messages each target has that are pending or dead."""
        ...

    async def read_cursor(self, name: str) -> datetime | None:
        """A schedule's next due time."""
        ...

    async def move_cursor(self, name: str, *, expected: datetime | None, to: datetime) -> bool:
        """Compare and set; False if another got there first."""
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


class Notifier(Protocol):
    """One chat channel or webhook."""

    @property
    def name(self) -> str:
        """The target's name in the settings."""
        ...

    async def send(self, payload: Mapping[str, Any]) -> None:
        """Deliver once.

        Raises:
            DeliveryError: with `retry_after` seconds where the receiver asked for it, and `permanent`.
        """
        ...


class Ctx(Protocol):
    """Durable steps: a step that has returned is never run again, across crashes too."""

    @property
    def deploy_id(self) -> str:
        """The deploy this workflow runs."""
        ...

    async def step(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run `action` at least once and keep its (small, JSON) result."""
        ...
