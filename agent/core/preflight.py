"""What the preflight's answers mean: rows of `sql/preflight/*.sql` in, findings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.core.models import CheckResult, Finding, Model, Severity, Verdict
from agent.core.redaction import redact
from agent.core.touched import Place, Touched
from agent.core.units import count
from agent.errors import AgentError

OLDEST_MAJOR = 15

#: Transaction ids run out at about 2.1 thousand million; PostgreSQL itself stops 3 million before
#: (documentation, "Preventing Transaction ID Wraparound Failures").
_XIDS = 2**31

Rows = Sequence[Mapping[str, Any]]


class PreflightLimits(Model):
    """From where on something counts.

    `long_transaction_s`: seconds a transaction of others may have been open. `retained_wal_bytes`: what a replication
    slot may keep. `replica_lag_s`: seconds a replica may be behind. `connections`: how many a deploy needs beside the
    one it has (ledger, monitors, snapshot, the dump's workers). `xid_share`: used part of the transaction ids.
    """

    long_transaction_s: float = 60
    retained_wal_bytes: int = 1 << 30
    replica_lag_s: float = 60
    connections: int = 6
    xid_share: float = 0.7


def _finding(code: str, severity: Severity, message: str, hint: str, **where: str | int) -> Finding:
    return Finding(code=f"preflight.{code}", severity=severity, message=message, hint=hint, where=where)


def server(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """Version, primary or not, writable or not, what the role can see."""
    row = rows[0]
    found = []
    if row["version"] // 10000 < OLDEST_MAJOR:
        found.append(
            _finding(
                "server_too_old",
                Severity.ERROR,
                f"the server is PostgreSQL {row['version_text']}; the agent needs {OLDEST_MAJOR} or newer",
                "Upgrade the project first (Supabase: Project settings, Infrastructure).",
            )
        )
    if row["in_recovery"]:
        found.append(
            _finding(
                "read_only",
                Severity.ERROR,
                "this server is a replica: it cannot be written to",
                "Use the primary's connection string in database_url.",
            )
        )
    elif row["read_only"]:
        found.append(
            _finding(
                "read_only",
                Severity.ERROR,
                "transactions on this database are read-only by default (default_transaction_read_only is on)",
                "Supabase does this when the disk is full: free or add disk space. Otherwise look for the setting of "
                "the role, the database or the server.",
            )
        )
    if not row["sees_activity"]:
        found.append(
            not_checked("other sessions", f"role {row['role']} may not see what other sessions do (pg_read_all_stats)")
        )
    return found


def wraparound(rows: Rows, limits: PreflightLimits) -> list[Finding]:
    """How near the transaction ids are to their end."""
    row = rows[0]
    share = max(row["xid_age"], row["mxid_age"]) / _XIDS
    if share < limits.xid_share:
        return []
    return [
        _finding(
            "wraparound",
            Severity.WARNING,
            f"{share:.0%} of the transaction ids are used up since the oldest row was frozen",
            "Find out what keeps VACUUM back (long transactions, slots, prepared transactions) and run VACUUM FREEZE.",
        )
    ]


def capacity(rows: Rows, limits: PreflightLimits) -> list[Finding]:
    """Free connections, places in the lock table for a restore in one transaction, and what no backup holds."""
    row = rows[0]
    found = []
    if row["free"] < limits.connections:
        found.append(
            _finding(
                "connections",
                Severity.WARNING if row["free"] > 0 else Severity.ERROR,
                f"{max(row['free'], 0)} connections are free ({row['used']} of {row['allowed']} used); "
                f"a deploy needs up to {limits.connections} more",
                "Close idle sessions, let the application use the pooler, or raise the limit.",
            )
        )
    if row["relations"] > row["lock_places"]:
        found.append(
            _finding(
                "lock_table",
                Severity.WARNING,
                f"the application has {row['relations']} relations, the lock table {row['lock_places']} places: "
                "a backup or restore in one transaction may run out of shared memory",
                "Raise max_locks_per_transaction (needs a restart of the server).",
            )
        )
    if row["large_objects"]:
        found.append(
            _finding(
                "large_objects",
                Severity.WARNING,
                f"the role may not read {count(row['large_objects'], 'large object')}, so no backup of its holds "
                "them: a restore leaves them as they are",
                "GRANT SELECT ON LARGE OBJECT … TO the role, or make it a member of their owner. A deploy that has "
                "written to them or unlinked them, and fails, ends needs_operator and names them.",
            )
        )
    return found


def privileges(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """What the role lacks to keep the history table, and to switch triggers off in a restore."""
    row = rows[0]
    role, database = row["role"], row["database"]
    schema, table = "supabase_migrations", "supabase_migrations.schema_migrations"
    needed: list[tuple[bool | None, str, str]] = []
    if not row["has_schema"]:
        needed.append((row["database_create"], "CREATE", f"database {database}"))
    else:
        needed += [(row[f"schema_{what}"], what.upper(), f"schema {schema}") for what in ("usage", "create")]
    if row["has_table"]:
        needed += [(row[f"table_{what}"], what.upper(), f"table {table}") for what in ("select", "insert", "delete")]
    found = [
        _finding(
            "missing_privilege",
            Severity.ERROR,
            f"role {role} lacks {privilege} on {what}",
            f"Connect as postgres, or: GRANT {privilege} ON {what.upper().split()[0]} {what.split()[1]} TO {role};",
            object=what,
            role=role,
        )
        for granted, privilege, what in needed
        if not granted
    ]
    if not row["replication_role"]:
        found.append(
            _finding(
                "replication_role",
                Severity.WARNING,
                f"role {role} may not set session_replication_role: no restore from a backup can run as this role, so "
                "only what is still in a transaction can be undone",
                f"Connect as postgres, or as a superuser: GRANT SET ON PARAMETER session_replication_role TO {role};",
                object="parameter session_replication_role",
                role=role,
            )
        )
    return found


def owners(rows: Rows, wanted: Touched) -> list[Finding]:
    """Tables that the migrations alter, and that belong to somebody else."""
    return [
        _right(
            wanted,
            wanted.tables[row["schema"], row["name"]],
            f"role {row['role']} is not the owner of table {row['table']}, which belongs to {row['owner']}",
            f"Connect as {row['owner']}, or: GRANT {row['owner']} TO {row['role']};",
            object=row["table"],
            role=row["role"],
        )
        for row in rows
    ]


def schemas(rows: Rows, wanted: Touched) -> list[Finding]:
    """Schemas in which the migrations create something, and may not."""
    return [
        _right(
            wanted,
            wanted.schemas[row["schema"]],
            f"role {row['role']} lacks CREATE on schema {row['name']}",
            f"Connect as postgres, or: GRANT CREATE ON SCHEMA {row['name']} TO {row['role']};",
            object=row["name"],
            role=row["role"],
        )
        for row in rows
    ]


def _right(wanted: Touched, place: Place, message: str, hint: str, **where: str) -> Finding:
    """A missing right: only a warning where the migrations themselves change roles, owners or grants on the way."""
    severity = Severity.ERROR if wanted.certain else Severity.WARNING
    return _finding("missing_privilege", severity, message, hint, file=place.file, line=place.line, **where)


def history(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """Whether the history table is the Supabase CLI's; none at all is a new project."""
    if not rows:
        return []
    row, strange = rows[0], []
    columns = row["columns"] or {}
    if row["kind"] != "r":
        strange.append("it is not an ordinary table")
    wanted = {
        "version": ("text", "character varying"),
        "statements": ("text[]",),
        "name": ("text", "character varying"),
    }
    strange += [
        f"column {name} is {columns[name]}, not {types[0]}"
        for name, types in wanted.items()
        if name in columns and not columns[name].startswith(types)
    ]
    if "version" not in columns:
        strange.append("it has no column version")
    elif list(row["primary_key"] or ()) != ["version"]:
        strange.append("its primary key is not (version)")
    if not strange:
        return []
    return [
        _finding(
            "history_shape",
            Severity.ERROR,
            f"supabase_migrations.schema_migrations is not the Supabase CLI's table: {'; '.join(strange)}",
            "Find out who made it; rename it, and let `supabase migration repair` record what is applied.",
            object="supabase_migrations.schema_migrations",
        )
    ]


def long_transactions(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """Transactions of others whose locks a migration would have to wait for."""
    found = []
    for row in rows:
        idle = str(row["state"] or "").startswith("idle in transaction")
        found.append(
            _finding(
                "idle_in_transaction" if idle else "long_transaction",
                Severity.WARNING,
                f"{_session(row)} {'sits idle in' if idle else 'has been running'} a transaction for "
                f"{row['seconds']:.0f} s: {redact(row['query'] or '')}",
                f"Let it end, or end it: SELECT pg_terminate_backend({row['pid']});",
                pid=row["pid"],
            )
        )
    return found


def blocked(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """Sessions that wait for a lock already."""
    return [
        _finding(
            "blocked_session",
            Severity.WARNING,
            f"{_session(row)} has been waiting for a lock for {row['seconds'] or 0:.0f} s, held by "
            f"{', '.join(f'pid {pid}' if pid else 'a prepared transaction' for pid in row['blocked_by'])}",
            "Find out what the holder does before more wait behind it.",
            pid=row["pid"],
        )
        for row in rows
    ]


def prepared(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """Prepared transactions that nobody has ended."""
    return [
        _finding(
            "prepared_transaction",
            Severity.WARNING,
            f"the prepared transaction {row['gid']} of {row['owner']} has held its locks for {row['seconds']:.0f} s",
            "End it with COMMIT PREPARED or ROLLBACK PREPARED if whoever made it is gone.",
            object=row["gid"],
        )
        for row in rows
    ]


def invalid_indexes(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """Indexes that are kept up to date and used by nobody."""
    return [
        _finding(
            "invalid_index",
            Severity.WARNING,
            f"index {row['index']} of {row['table']} is invalid: a concurrent build of it was interrupted",
            f"DROP INDEX CONCURRENTLY {row['index']}; and build it again, or REINDEX INDEX CONCURRENTLY.",
            object=row["index"],
        )
        for row in rows
    ]


def slots(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """Replication slots that fill the disk, or whose reader must start anew."""
    return [
        _finding(
            "replication_slot",
            Severity.WARNING,
            f"replication slot {row['slot']} ({'active' if row['active'] else 'inactive'}, WAL {row['wal_status']}) "
            f"keeps {(row['retained_bytes'] or 0) / (1 << 20):,.0f} MiB of WAL on the disk",
            "Start its reader again, or drop it: SELECT pg_drop_replication_slot(…);",
            object=row["slot"],
        )
        for row in rows
    ]


def replicas(rows: Rows, _limits: PreflightLimits) -> list[Finding]:
    """Replicas that a big migration would leave further behind."""
    return [
        _finding(
            "replication_lag",
            Severity.WARNING,
            f"replica {row['application']} ({row['client'] or 'local'}) is {row['seconds']:.0f} s behind",
            "Let it catch up first; reads from it would miss the migration for longer than now.",
            object=row["application"],
        )
        for row in rows
    ]


def disk_space(data_bytes: int, free_bytes: int, place: str) -> list[Finding]:
    """Room for the backup's files. A dump is compressed: seldom larger than the data, seldom smaller than a tenth.

    Args:
        data_bytes: tables with TOAST, without indexes.
        free_bytes: where the files are made.
    """
    if free_bytes >= data_bytes:
        return []
    enough = free_bytes >= data_bytes / 10
    return [
        _finding(
            "disk_space",
            Severity.WARNING if enough else Severity.ERROR,
            f"{free_bytes / (1 << 20):,.0f} MiB are free for the backup at {place}, and the data is "
            f"{data_bytes / (1 << 20):,.0f} MiB before compression",
            "Free space there, prune old backups (`deploy-agent backup prune`), or choose another backup target.",
        )
    ]


def unverified_server(missing: str, place: str) -> list[Finding]:
    """A connection over a network that does not make sure of the server.

    Args:
        missing: what somebody on the way could do, or "".
        place: `host:port/database`.
    """
    if not missing:
        return []
    return [
        _finding(
            "tls_unverified",
            Severity.WARNING,
            f"the connection to {place} does not make sure that this is the server ({missing})",
            "Remove sslmode from database_url: then it is verify-full. Supabase's own authorities are known to the "
            "agent; those of another server go into database_ca_file.",
            field="database_url",
        )
    ]


def unfinished_restore(backup_id: str) -> Finding:
    """A restore in several transactions of which only some have committed: the database is neither before nor after."""
    return _finding(
        "unfinished_restore",
        Severity.ERROR,
        f"the restore of backup {backup_id} was left unfinished: only a part of the application's tables is there",
        f"`deploy-agent restore {backup_id}` goes on where it stopped; a restore of another backup takes its place.",
        backup=backup_id,
    )


def failed_checks(results: Sequence[CheckResult]) -> list[Finding]:
    """The runbook's preflight checks that did not pass; one that could not run is never a pass."""
    return [
        _finding(
            "check_failed" if one.verdict is Verdict.FAILED else "not_checked",
            one.severity,
            f"check {one.id} ({one.title}): expected {one.expected}, found {one.observed}"
            if one.verdict is Verdict.FAILED
            else f"check {one.id} ({one.title}) could not run: {one.observed}",
            one.hint,
            check=one.id,
        )
        for one in results
        if one.verdict is not Verdict.PASSED
    ]


def finding_of(error: AgentError) -> Finding:
    """An error that stands in the way, under its own code."""
    return Finding(code=error.code, severity=Severity.ERROR, message=error.message, hint=error.hint, where=error.where)


def not_checked(what: str, why: str) -> Finding:
    """Something could not be looked at, which is said and never passed over."""
    return _finding(
        "not_checked", Severity.WARNING, f"not checked: {what}: {why}", "Look at it yourself, or deploy knowing this."
    )


def no_token(ref: str, *, required: bool) -> list[Finding]:
    """A hosted project, and no token to ask the platform with.

    Args:
        ref: the project's, or "": it is not on the platform.
        required: that stops the deploy.
    """
    if not ref and not required:
        return []
    return [
        _finding(
            "not_checked",
            Severity.ERROR if required else Severity.INFO,
            "not checked, for want of a token for the Management API: status, services' health, disk, read-only mode, "
            "upgrades, maintenance, network bans and restrictions, and the platform's own backups of "
            f"{f'project {ref}' if ref else 'the project'}",
            "Set platform.token; docs/platform.md says what it needs.",
        )
    ]


def _session(row: Mapping[str, Any]) -> str:
    return f"{row['application'] or 'a session'} of {row['user']} (pid {row['pid']})"
