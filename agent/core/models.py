"""The words of the product as values: frozen, keyword-only, JSON in and out."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agent.core.states import FINAL, State


class Model(BaseModel):
    """Base of all values that cross a border: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # whoever never sees one pays nothing


class Strategy(StrEnum):
    """How the pending migrations are applied; see docs/concepts.md."""

    AUTO = "auto"
    ATOMIC = "atomic"
    PER_MIGRATION = "per_migration"
    STATEMENT = "statement"


class Severity(StrEnum):
    """What a finding or a failed check means: `error` stops or undoes the deploy."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class RunMode(StrEnum):
    """How one migration file is executed (the Supabase CLI's three ways)."""

    TRANSACTION = "transaction"  # one transaction, history row inside
    SINGLY = "singly"  # the file holds its own BEGIN/COMMIT: statement by statement, then the row
    NO_TRANSACTION = "no_transaction"  # `-- pg-delta: transaction=false`, or statements that refuse one


class Finding(Model):
    """Something noticed before anything was touched."""

    code: str
    severity: Severity
    message: str
    hint: str = ""
    where: dict[str, str | int] = Field(default_factory=dict)


class Condition(Model):
    """One thing that must hold for the agent to do its work; `message` says what was found."""

    name: str
    ok: bool
    message: str
    checked_at: datetime


class Slot(Model):
    """A replication slot of the database, and the WAL it keeps. `lost`: what its reader needs is gone already."""

    name: str
    active: bool
    lost: bool
    retained_bytes: int


class Verdict(StrEnum):
    """What a check said. `errored`: it could not run, which is never a pass."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"


class CheckResult(Model):
    """One check, run once.

    `phase` is `preflight`, `migration:<version>`, `final` or `rollback`; `seconds` is wall time.
    """

    id: str
    title: str
    phase: str
    verdict: Verdict
    severity: Severity
    expected: str
    observed: str
    hint: str = ""
    seconds: float = 0.0


class Failure(Model):
    """Why a deploy did not succeed, and where.

    `version`, `file`, `line`, `statement` (1-based) name the migration, if one is to blame;
    `check` the check; `cause` is one of `statement`, `check`, `cancelled`, `lost_connection`, `preflight`,
    `snapshot`, `backup`, `agent`.
    """

    cause: str
    code: str
    message: str
    hint: str = ""
    version: str = ""
    file: str = ""
    line: int = 0
    statement: int = 0
    sql: str = ""
    sqlstate: str = ""
    detail: str = ""
    check: str = ""
    runbook_hints: tuple[str, ...] = ()


class EventKind(StrEnum):
    """What an event tells; docs/events.md lists the keys of `data` for each.

    STATE            from, to, move
    STEP_STARTED     step; where the deploy is traced trace_id, span_id
    STEP_FINISHED    step, seconds, ok
    FINDING          code, hint, where
    MIGRATION_STARTED   version, name, index, total, statements, mode, expected (low_s, high_s; or null)
    MIGRATION_FINISHED  version, name, index, total, seconds
    STATEMENT        version, index, total, line, tag, seconds
    NOTICE           version, level (NOTICE, WARNING, …), detail, hint
    MONITOR          version, name, values (dict), done, total, eta_s
    PROGRESS         what, phase, done, total   (pg_stat_progress_*; backup bytes; snapshot tables)
    LOCK_WAIT        version, attempt, blockers (list of pid, user, application, query, seconds)
    CHECK            a CheckResult as dict
    SNAPSHOT         tables, rows, bytes, values (dict), seconds
    BACKUP           id, location, bytes, files, seconds
    RUNG             rung (1 to 5), name, ok, differences (list of str)
    CHANGES          created, dropped, altered (list of str, at most 100), counts (by these three words)
    PROPOSAL         a Proposal as dict, verdict (go, ask, hold), reason
    APPROVAL         an Approval as dict; its answer is null when it is asked for
    PLATFORM_RESTORE phase (marked, waiting, asked, accepted, refused, in_doubt, polling, back), way, point, second,
                     status, seconds (since it was asked for)
    FAILURE          a Failure as dict
    PLATFORM_CALL    method, path, status (null: no answer), seconds, attempt, code
    METRIC           name, labels, value
    LOG              anything
    """

    STATE = "state"
    STEP_STARTED = "step_started"
    STEP_FINISHED = "step_finished"
    FINDING = "finding"
    MIGRATION_STARTED = "migration_started"
    MIGRATION_FINISHED = "migration_finished"
    STATEMENT = "statement"
    NOTICE = "notice"
    MONITOR = "monitor"
    PROGRESS = "progress"
    LOCK_WAIT = "lock_wait"
    CHECK = "check"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    RUNG = "rung"
    CHANGES = "changes"
    PROPOSAL = "proposal"
    APPROVAL = "approval"
    PLATFORM_RESTORE = "platform_restore"
    FAILURE = "failure"
    PLATFORM_CALL = "platform_call"
    METRIC = "metric"
    LOG = "log"


class NewEvent(Model):
    """An event that has no number yet. `message` is one line that stands by itself."""

    kind: EventKind
    message: str
    at: datetime
    severity: Severity = Severity.INFO
    data: dict[str, Any] = Field(default_factory=dict)


class Event(NewEvent):
    """An event of a deploy; `seq` counts from 1 without gaps within its deploy."""

    deploy_id: str
    seq: int


class DeployRequest(Model):
    """What somebody asked for.

    `plan_fingerprint`: refuse to run if the plan has changed since; "" takes the plan as it is found.
    `until`: stop after this version; "" means all. `include_all`: also apply versions older than the last remote one.
    """

    project: str
    strategy: Strategy = Strategy.AUTO
    plan_fingerprint: str = ""
    until: str = ""
    include_all: bool = False
    requested_by: str = "cli"


class Proposal(Model):
    """What a rung of the ladder would do, before it does it.

    `undone`: the objects that it brings back, for people. `tables`: those whose rows it reloads. `rows_salvaged`: rows
    that the salvage keeps; `rows_lost`: rows that would be neither in the backup nor in the salvage; `lost_unknown`:
    there may be more of these, or deletes by the application that would be taken back. `seconds`: how long it takes,
    estimated. `way`: what the platform would be asked for, for instance `bring the whole project back to …`; "": the
    rows come from the backup.
    """

    rung: int
    backup_id: str
    undone: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    rows_salvaged: int = Field(default=0, ge=0)
    rows_lost: int = Field(default=0, ge=0)
    lost_unknown: bool = False
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    way: str = ""


class Answer(StrEnum):
    """What people said to a proposal. `superseded`: nobody answered before another proposal took its place."""

    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class Approval(Model):
    """A proposal that people were asked about; `number` counts from 1 within the deploy.

    `reason`: why the agent does not go on by itself. `remark`: what the person who answered had to say.
    """

    number: int
    proposal: Proposal
    reason: str
    asked_at: datetime
    answer: Answer | None = None
    answered_at: datetime | None = None
    answered_by: str = ""
    remark: str = ""


class Deploy(Model):
    """One execution of a plan, as the store holds it; `approval` is the last one that was asked for."""

    id: str
    project: str
    state: State
    request: DeployRequest
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    cancel_reason: str = ""
    strategy: Strategy | None = None
    versions: tuple[str, ...] = ()
    backup_id: str = ""
    failure: Failure | None = None
    approval: Approval | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to this deploy."""
        return self.state in FINAL

    @property
    def waits_for_approval(self) -> bool:
        """Whether nothing happens until somebody has answered."""
        return not self.is_final and self.approval is not None and self.approval.answer is None


class TableMark(Model):
    """A table's content in two numbers: rows, and an order-independent hash of all of them."""

    rows: int
    hash: str
    bytes: int = 0


class SequencePlace(NamedTuple):
    """Where a sequence stands: its last value, whether that has been given out, and its increment."""

    last: int
    called: bool
    step: int

    @property
    def next(self) -> int:
        """What nextval would give, but for the sequence's end."""
        return self.last + self.step if self.called else self.last

    def is_behind(self, earlier: SequencePlace) -> bool:
        """Whether it would give again what it gave before it stood there."""
        return self.next < earlier.next if earlier.step > 0 else self.next > earlier.next


class Snapshot(Model):
    """What the database was before: compared after.

    `values`: the runbook's named values, each a scalar. `tables`, `sequences`: by qualified name.
    `catalog`: md5 of the canonical definition, by object identity (`kind:name`). `outside`: the same of what no backup
    holds, such as roles and Supabase's own schemas; `outside_tables`: the content of those schemas' smaller tables.
    `large_objects`: two digests by OID (`core.large_objects`); None: they were not looked at.
    """

    taken_at: datetime
    values: dict[str, Any] = Field(default_factory=dict)
    tables: dict[str, TableMark] = Field(default_factory=dict)
    catalog: dict[str, str] = Field(default_factory=dict)
    sequences: dict[str, SequencePlace] = Field(default_factory=dict)
    history: tuple[str, ...] = ()
    outside: dict[str, str] = Field(default_factory=dict)
    outside_tables: dict[str, TableMark] = Field(default_factory=dict)
    large_objects: dict[str, str] | None = None

    @field_validator("sequences", mode="before")
    @classmethod
    def _known_places(cls, stored: dict[str, object]) -> dict[str, object]:
        """Without those of an earlier version of the agent, which noted less."""
        return {name: place for name, place in stored.items() if not isinstance(place, int | None)}


class BackupState(StrEnum):
    """`published`: complete and checksummed. `verified`: has been restored somewhere and compared."""

    PUBLISHED = "published"
    VERIFIED = "verified"
    DAMAGED = "damaged"


class BackupRecord(Model):
    """What the store knows of a backup; the manifest beside the files knows more."""

    id: str
    project: str
    created_at: datetime
    location: str
    state: BackupState
    bytes: int
    deploy_id: str = ""
    verified_at: datetime | None = None


class OutboxState(StrEnum):
    """`dead`: given up after the last attempt; kept for a person to look at."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"


class OutboxMessage(Model):
    """One message for one notification target, in the order it must arrive there."""

    id: int
    target: str
    deploy_id: str
    event_seq: int
    state: OutboxState
    attempts: int
    due_at: datetime
    created_at: datetime
    last_error: str = ""
