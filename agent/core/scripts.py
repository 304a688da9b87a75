"""What the SQL of a migration file is: how the file must be run, and what there is to say about it beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from pydantic import ValidationInfo, field_serializer, field_validator

from agent.core.migrations import KEPT_FILES, Migration
from agent.core.models import Finding, Model, RunMode, Severity
from agent.core.splitter import Piece, code_only, split
from agent.core.statements import Fact, committing_procedures, describe
from agent.core.syntax import PARSER_MAJOR, SyntaxProblem, syntax_problem

NO_TRANSACTION_MARK = "-- pg-delta: transaction=false"
"""As the whole first line it tells the Supabase CLI, and the agent, to run each statement by itself."""

_NEAR = re.compile(r'at or near "(.*)"\Z', re.DOTALL)
_COPIES = re.compile(r"COPY\b.*\b(?:FROM STDIN|TO STDOUT)\b")


class Script(Model):
    """A migration whose SQL has been looked at; `pieces` and `facts` have the same length and order."""

    migration: Migration
    pieces: tuple[Piece, ...]
    facts: tuple[Fact, ...]
    mode: RunMode
    findings: tuple[Finding, ...] = ()

    @field_serializer("pieces", when_used="json")
    def _spans(self, pieces: tuple[Piece, ...]) -> list[tuple[int, int, int]]:
        """Start, end and line of each: its text is in the file's, which is kept whole."""
        return [(one.offset, one.offset + len(one.text), one.line) for one in pieces]

    @field_validator("pieces", mode="before")
    @classmethod
    def _from_spans(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - pieces, or spans of JSON
        if info.mode != "json":
            return value
        text = info.data["migration"].text
        return [Piece(text[start:end], line, start) for start, end, line in value]


class EnumUse(Model):
    """A statement that may use an enum value which its own transaction adds (PostgreSQL refuses with 55P04)."""

    value: str
    file: str
    line: int


@lru_cache(maxsize=KEPT_FILES)
def analyse(
    migration: Migration, *, server_major: int = PARSER_MAJOR, committing: frozenset[str] = frozenset()
) -> Script:
    """Look at one migration file. What was found is kept: a running agent sees the same files again and again.

    Args:
        migration: the file.
        server_major: the target's PostgreSQL release. Where it is newer than the parser's grammar, a syntax error is
            only a warning.
        committing: procedures that end transactions by themselves, see `committing_procedures`; the file's own are
            added.

    Returns:
        Its statements and facts. Findings: `plan.syntax_error`, `plan.syntax_unchecked`, `plan.nul_character`,
        `plan.begin_without_end`, `plan.runs_alone_in_transaction`, `plan.copy_stdin`, `plan.enum_value_used`,
        `plan.destructive`, `plan.no_statements`.
    """
    pieces = tuple(split(migration.text))
    committing |= committing_procedures(migration.text)
    facts = tuple(describe(piece.text, committing) for piece in pieces)
    script = Script(migration=migration, pieces=pieces, facts=facts, mode=_mode(migration.text, facts))
    findings = (
        *_syntax(script, server_major),
        *_transactions(script),
        *_remarks(script),
    )
    return script.model_copy(update={"findings": findings}) if findings else script


def unsafe_enum_use(scripts: Iterable[Script]) -> EnumUse | None:
    """The first statement that may use an enum value added before it in the same transaction.

    A transaction reaches from one COMMIT (or ROLLBACK) in the files to the next. A value of a type that was created
    in the same transaction may be used at once (PostgreSQL documentation, ALTER TYPE, "Notes").

    Args:
        scripts: files that would run in one transaction, in order.
    """
    added: dict[str, str] = {}
    created: set[str] = set()
    for script in scripts:
        for piece, fact in zip(script.pieces, script.facts, strict=True):
            if fact.control:
                added, created = {}, set()
            for value, kind in added.items():
                if fact.tag != "ALTER TYPE" and _mentions(piece.text, value, kind):
                    return EnumUse(value=value, file=script.migration.file, line=piece.code_line)
            if fact.creates_enum:
                created.add(fact.creates_enum)
            added |= {value: kind for kind, value in fact.adds_enum_values if kind not in created}
    return None


def _mode(text: str, facts: Sequence[Fact]) -> RunMode:
    if text.partition("\n")[0].removesuffix("\r") == NO_TRANSACTION_MARK:
        return RunMode.NO_TRANSACTION
    if any(fact.control for fact in facts):
        return RunMode.SINGLY
    if any(fact.runs_alone for fact in facts):
        return RunMode.NO_TRANSACTION
    return RunMode.TRANSACTION


def _mentions(text: str, value: str, kind: str) -> bool:
    """Whether a statement may read `value`: as a literal, through enum_range and kin, or by casting other data."""
    quoted = "'" + value.replace("'", "''") + "'"
    if quoted in text or re.search(r"\benum_(?:range|first|last)\b", text, re.IGNORECASE):
        return True
    return re.search(rf"[^'\s]\s*::\s*(?:[\w\"]+\.)?\"?{re.escape(kind)}\b", text, re.IGNORECASE) is not None


def _where(script: Script, index: int, offset: int | None = None) -> dict[str, str | int]:
    """The place of a statement: its first code character, or the one at `offset` in its text."""
    piece = script.pieces[index]
    at = piece.offset + (piece.code_offset if offset is None else offset)
    text = script.migration.text
    return {
        "file": script.migration.file,
        "version": script.migration.version,
        "line": text.count("\n", 0, at) + 1,
        "column": at - text.rfind("\n", 0, at),
        "statement": index + 1,
    }


def _finding(
    script: Script, index: int, code: str, severity: Severity, says: str, *, hint: str = "", offset: int | None = None
) -> Finding:
    where = _where(script, index, offset)
    message = f"{where['file']}, line {where['line']}: {says}"
    return Finding(code=code, severity=severity, message=message, hint=hint, where=where)


def _syntax(script: Script, server_major: int) -> Iterator[Finding]:
    text = script.migration.text
    if "\0" in text:
        yield Finding(
            code="plan.nul_character",
            severity=Severity.ERROR,
            message=f"{script.migration.file}, line {text.count(chr(10), 0, text.index(chr(0))) + 1}: a NUL character",
            hint="PostgreSQL cannot store it; save the file as plain UTF-8 text.",
            where={"file": script.migration.file, "version": script.migration.version},
        )
        return
    for index, piece in enumerate(script.pieces):
        problem = syntax_problem(piece.text)
        if problem is not None:
            yield _refused(script, index, problem, server_major)


def _refused(script: Script, index: int, problem: SyntaxProblem, server_major: int) -> Finding:
    text = script.pieces[index].text
    message = _discreet(problem.message)
    if not problem.certain:
        says = f"not checked: {message} in the agent's parser; the server decides"
        return _finding(script, index, "plan.syntax_unchecked", Severity.WARNING, says)
    severity = Severity.ERROR if server_major <= PARSER_MAJOR else Severity.WARNING
    hint = "Correct the file; nothing was run."
    if severity is Severity.WARNING:
        hint = f"The agent's parser knows PostgreSQL {PARSER_MAJOR}; the server is {server_major} and may accept it."
    elif problem.offset is not None and text.startswith("\\", problem.offset):
        hint = "Commands of psql, such as \\connect or \\restrict, are not SQL: remove them."
    return _finding(script, index, "plan.syntax_error", severity, message, hint=hint, offset=problem.offset)


def _discreet(message: str) -> str:
    """The parser's message without the content of a string, which may be a secret, or the rest of the file."""
    near = _NEAR.search(message)
    if near is None:
        return message
    token = near[1]
    shown = "a string" if token.lstrip("eEbBxXnNuU&").startswith(("'", "$")) else f'"{token[:60]}"'
    return message[: near.start(1) - 1] + shown


def _transactions(script: Script) -> Iterator[Finding]:
    """Follow the file's own BEGIN and COMMIT."""
    if script.mode is RunMode.TRANSACTION:
        return
    opened: int | None = None
    for index, fact in enumerate(script.facts):
        if opened is not None and fact.refuses_transaction and not fact.control:
            says = f"{fact.tag} cannot run inside the transaction that line {_where(script, opened)['line']} begins"
            hint = "End the transaction before it, or move the statement to a file of its own."
            yield _finding(script, index, "plan.runs_alone_in_transaction", Severity.ERROR, says, hint=hint)
        if fact.control == "begin":
            opened = index if opened is None else opened
        elif fact.control:
            opened = index if fact.chains else None
    if opened is not None:
        says = "this transaction is never ended: all that follows it in the file would be lost"
        yield _finding(
            script, opened, "plan.begin_without_end", Severity.ERROR, says, hint="Add COMMIT, or remove BEGIN."
        )


def _remarks(script: Script) -> Iterator[Finding]:
    if not script.pieces:
        migration = script.migration
        yield Finding(
            code="plan.no_statements",
            severity=Severity.INFO,
            message=f"{migration.file} holds no statement; it is only recorded",
            where={"file": migration.file, "version": migration.version},
        )
    for index, fact in enumerate(script.facts):
        if fact.destructive:
            says = f"{fact.tag} destroys data"
            yield _finding(script, index, "plan.destructive", Severity.WARNING, says)
        elif fact.tag == "COPY" and _COPIES.match(" ".join(code_only(script.pieces[index].text).upper().split())):
            says = "a migration cannot send or receive the data of COPY … STDIN or STDOUT"
            hint = "Use INSERT, or load the data outside the migration."
            yield _finding(script, index, "plan.copy_stdin", Severity.ERROR, says, hint=hint)
    if script.mode is not RunMode.NO_TRANSACTION and (use := unsafe_enum_use([script])) is not None:
        yield Finding(
            code="plan.enum_value_used",
            severity=Severity.WARNING,
            message=f"{use.file}, line {use.line}: may use the enum value {use.value!r}, added in the same transaction",
            hint="PostgreSQL refuses this (55P04): add the value in an earlier file, or put COMMIT between.",
            where={"file": use.file, "version": script.migration.version, "line": use.line},
        )
