"""What a deploy would do: files and history compared, the strategy chosen, and a fingerprint of it all."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from pydantic import Field

from agent.core.migrations import Folder, Migration
from agent.core.models import Finding, Model, RunMode, Severity, Strategy
from agent.core.scripts import Script, analyse, unsafe_enum_use
from agent.core.splitter import split
from agent.core.statements import committing_procedures
from agent.core.syntax import PARSER_MAJOR
from agent.core.units import Span, count

_PACKED = "plan/1 "
_IGNORED = re.compile(r"[\s;]+")
_MODES = {
    RunMode.SINGLY: "holds its own BEGIN or COMMIT",
    RunMode.NO_TRANSACTION: "must run outside a transaction",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One row of `supabase_migrations.schema_migrations`; `statements` is None where the column is absent or null."""

    version: str
    name: str
    statements: tuple[str, ...] | None = None


class Plan(Model):
    """What a deploy would do now.

    `scripts`: the pending migrations in the order they run. `applied`: the history's versions. `strategy`: never
    `auto`. `reason`: why that strategy, in words. `fingerprint`: SHA-256 (hexadecimal) of files, history, options and
    the database's definition. `expected`: how long the runbook says each version takes at this `volume` of data.
    """

    project: str
    scripts: tuple[Script, ...]
    applied: tuple[str, ...]
    strategy: Strategy
    reason: str
    findings: tuple[Finding, ...]
    fingerprint: str
    volume: str = ""
    expected: dict[str, Span] = Field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid running the plan."""
        return tuple(one for one in self.findings if one.severity is Severity.ERROR)

    def packed(self) -> str:
        """The plan as text for the store. File by file and compressed: its texts are never in memory once more."""
        pack = zlib.compressobj(level=1)
        head = self.model_copy(update={"scripts": ()}).model_dump_json()
        files = ("\n" + script.model_dump_json(exclude_defaults=True) for script in self.scripts)
        parts = [pack.compress(part.encode()) for part in chain([head], files)]
        return _PACKED + b64encode(b"".join([*parts, pack.flush()])).decode()

    @classmethod
    def unpacked(cls, text: str) -> Plan:
        """What `packed` gave, or plain JSON, as earlier agents wrote it."""
        if not text.startswith(_PACKED):
            return cls.model_validate_json(text)
        head, *scripts = zlib.decompress(b64decode(text.removeprefix(_PACKED))).split(b"\n")
        plan = cls.model_validate_json(head)
        return plan.model_copy(update={"scripts": tuple(Script.model_validate_json(one) for one in scripts)})


def build_plan(
    *,
    project: str,
    folder: Folder,
    history: Sequence[HistoryRow],
    strategy: Strategy,
    include_all: bool,
    until: str,
    checks: int = 0,
    target_fingerprint: str = "",
    server_major: int = PARSER_MAJOR,
) -> Plan:
    """Compare folder and history as `supabase db push` does, and choose how to apply what is pending.

    Args:
        project: the project's name.
        folder: its migrations.
        history: the rows of the history table, in any order.
        strategy: what was asked for.
        include_all: also apply versions older than the last one in the history.
        until: the last version to apply; "" means all.
        checks: how many checks the runbook runs; only for the words of `reason`.
        target_fingerprint: a digest of the database's definition.
        server_major: the target's PostgreSQL release, see `analyse`.

    Returns:
        The plan. Findings, beside those of folder and files: `plan.remote_only`, `plan.out_of_order`,
        `plan.text_order`, `plan.edited_after_apply`, `plan.until_unknown`, `plan.atomic_impossible`.
    """
    rows = {row.version: row for row in history}
    waiting = _waiting(folder, rows, until)
    findings = [
        *_folder_findings(folder, rows),
        *_remote_only(folder, rows),
        *([] if include_all else _out_of_order(waiting, rows)),
        *_text_order(waiting),
        *_edited(folder, rows),
        *_until(folder, until),
    ]
    committing = frozenset[str]().union(*(committing_procedures(one.text) for one in folder.migrations))
    scripts = tuple(analyse(one, server_major=server_major, committing=committing) for one in waiting)
    for script in scripts:
        findings += script.findings
    chosen, reason, problem = _choose(scripts, strategy, checks)
    if problem:
        findings.append(problem)
    if chosen is Strategy.STATEMENT:
        scripts = tuple(_statement_by_statement(script) for script in scripts)
    return Plan(
        project=project,
        scripts=scripts,
        applied=tuple(sorted(rows)),
        strategy=chosen,
        reason=reason,
        findings=tuple(findings),
        fingerprint=_fingerprint(
            {
                "project": project,
                "files": [[one.version, one.name, one.sha256] for one in folder.migrations],
                "enabled": folder.enabled,
                "history": [[row.version, row.name, row.statements] for _, row in sorted(rows.items())],
                "options": [str(strategy), include_all, until, checks],
                "target": target_fingerprint,
            }
        ),
    )


def _waiting(folder: Folder, rows: Mapping[str, HistoryRow], until: str) -> list[Migration]:
    if not folder.enabled:
        return []
    return [one for one in folder.migrations if one.version not in rows and not (until and one.version > until)]


def _folder_findings(folder: Folder, rows: Mapping[str, HistoryRow]) -> Iterator[Finding]:
    """What was noticed in the folder; the encoding of a file that is applied already hurts nobody any more."""
    versions = {one.file: one.version for one in folder.migrations}
    for finding in folder.findings:
        applied = versions.get(str(finding.where.get("file", ""))) in rows
        if finding.code == "plan.not_utf8" and applied:
            yield finding.model_copy(update={"severity": Severity.WARNING})
        else:
            yield finding


def _remote_only(folder: Folder, rows: Mapping[str, HistoryRow]) -> Iterator[Finding]:
    known = {one.version for one in folder.migrations}
    missing = [row for version, row in sorted(rows.items()) if version not in known]
    if folder.enabled and missing:
        named = ", ".join(f"{row.version} ({row.name})" if row.name else row.version for row in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield Finding(
            code="plan.remote_only",
            severity=Severity.ERROR,
            message=f"the database has {count(len(missing), 'migration')} that {folder.label} lacks: {named}{more}",
            hint="Bring the files back (`supabase migration fetch`), or mark them with "
            "`supabase migration repair --status reverted`.",
            where={"version": missing[0].version},
        )


def _out_of_order(waiting: Sequence[Migration], rows: Mapping[str, HistoryRow]) -> Iterator[Finding]:
    last = max(rows, default="")
    for one in waiting:
        if one.version < last:
            yield Finding(
                code="plan.out_of_order",
                severity=Severity.ERROR,
                message=f"{one.file} is older than {last}, which the database already has",
                hint="Apply it nevertheless with --include-all, or give it a newer version.",
                where={"version": one.version, "file": one.file},
            )


def _text_order(waiting: Sequence[Migration]) -> Iterator[Finding]:
    """Versions are ordered as text, as by the CLI: `10` runs before `2`, which who numbers files seldom means."""
    for one, following in pairwise(waiting):
        if int(one.version) > int(following.version):
            yield Finding(
                code="plan.text_order",
                severity=Severity.WARNING,
                message=f"{one.file} runs before {following.file}: versions are ordered as text, not as numbers",
                hint="Give all versions the same number of digits, such as 002 and 010.",
                where={"file": one.file, "version": one.version},
            )
            return


def _edited(folder: Folder, rows: Mapping[str, HistoryRow]) -> Iterator[Finding]:
    """Applied files whose SQL is no longer what the history recorded; how it was cut and spaced does not matter."""
    for one in folder.migrations:
        row = rows.get(one.version)
        if row is None or row.statements is None:
            continue
        now = tuple(piece.text for piece in split(one.text))
        if now != row.statements and _essence(now) != _essence(row.statements):
            yield Finding(
                code="plan.edited_after_apply",
                severity=Severity.WARNING,
                message=f"{one.file} was edited after it was applied: the database has the older text",
                hint="Undo the edit, and write a new migration for the change.",
                where={"version": one.version, "file": one.file},
            )


def _essence(statements: Sequence[str]) -> str:
    return _IGNORED.sub("", ";".join(statements))


def _until(folder: Folder, until: str) -> Iterator[Finding]:
    if until and until not in {one.version for one in folder.migrations}:
        yield Finding(
            code="plan.until_unknown",
            severity=Severity.ERROR,
            message=f"{folder.label} has no version {until} to stop after",
            hint="Name a version of the folder, or leave `until` out.",
            where={"field": "until", "version": until},
        )


def _choose(scripts: Sequence[Script], asked: Strategy, checks: int) -> tuple[Strategy, str, Finding | None]:
    """The strategy, why, and what is wrong with having asked for it."""
    if asked in {Strategy.PER_MIGRATION, Strategy.STATEMENT}:
        return asked, "as asked", None
    if not scripts:
        return (Strategy.PER_MIGRATION if asked is Strategy.AUTO else asked), "nothing is pending", None
    obstacles = list(_obstacles(scripts))
    if not obstacles:
        together = (
            f"{count(len(scripts), 'file')} and {count(checks, 'check')}" if checks else count(len(scripts), "file")
        )
        return Strategy.ATOMIC, f"one transaction can hold {together}", None
    more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
    reason = f"one transaction for all is impossible: {obstacles[0]}{more}"
    if asked is Strategy.AUTO:
        return Strategy.PER_MIGRATION, reason, None
    problem = Finding(
        code="plan.atomic_impossible",
        severity=Severity.ERROR,
        message=reason,
        hint="Use strategy `auto` or `per_migration`, or deploy that file by itself first (`until`).",
        where={"field": "strategy"},
    )
    return Strategy.ATOMIC, reason, problem


def _obstacles(scripts: Sequence[Script]) -> Iterator[str]:
    for script in scripts:
        if script.mode is not RunMode.TRANSACTION:
            yield f"{script.migration.file}{_culprit(script)} {_MODES[script.mode]}"
    use = unsafe_enum_use(scripts)
    if use is not None:
        yield f"{use.file}, line {use.line} may use the enum value {use.value!r}, which needs a COMMIT before"


def _culprit(script: Script) -> str:
    for piece, fact in zip(script.pieces, script.facts, strict=True):
        if fact.control or (fact.runs_alone and script.mode is RunMode.NO_TRANSACTION):
            return f", line {piece.code_line} ({fact.tag})"
    return ", line 1"


def _statement_by_statement(script: Script) -> Script:
    mode = RunMode.NO_TRANSACTION if script.mode is RunMode.TRANSACTION else script.mode
    return script.model_copy(update={"mode": mode})


def _fingerprint(facts: Mapping[str, object]) -> str:
    digest = hashlib.sha256()
    for part in json.JSONEncoder(separators=(",", ":"), sort_keys=True).iterencode(facts):  # the history may be long
        digest.update(part.encode())
    return digest.hexdigest()
