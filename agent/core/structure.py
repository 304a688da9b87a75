"""What the catalog says against what a structural check wants: a verdict, and both sides in words. Pure.

Each function takes the check's spec and the rows of the query in sql/checks/ of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.core.catalog_checks import (
    ColumnCheck,
    ConstraintCheck,
    ForeignKeyCheck,
    FunctionCheck,
    IndexCheck,
    PolicyCheck,
    TableCheck,
    TriggerCheck,
)
from agent.core.expect import Judgement, judge_count
from agent.core.models import Verdict
from agent.core.queries import same_expression

Row = Mapping[str, Any]

_COMMANDS = ("select", "insert", "update", "delete")
_CONSTRAINT_TYPES = {
    "c": "check",
    "u": "unique",
    "p": "primary key",
    "f": "foreign key",
    "x": "exclusion",
    "n": "not null",
}
_ACTIONS = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}


class Facts:
    """Collects what is wanted and what is there, fact by fact."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.wanted: list[str] = []
        self.wrong: list[str] = []

    def add(self, name: str, wanted: object, observed: object, *, holds: bool | None = None) -> None:
        """One fact; `wanted` None is not asked for. Without `holds`, both must be equal."""
        if wanted is None:
            return
        self.wanted.append(f"{name} {_word(wanted)}".strip())
        if not (wanted == observed if holds is None else holds):
            self.wrong.append(f"{name} {_word(observed)}".strip())

    def judgement(self) -> Judgement:
        """All facts together."""
        expected = f"{self.subject} exists" + (f", with {', '.join(self.wanted)}" if self.wanted else "")
        if self.wrong:
            return Judgement(Verdict.FAILED, expected, f"it exists, with {', '.join(self.wrong)}")
        return Judgement(Verdict.PASSED, expected, "it exists, and is so" if self.wanted else "it exists")


def qualified(name: str) -> tuple[str, str]:
    """Schema and name of `schema.name`; without a schema, `public`."""
    schema, dot, rest = name.partition(".")
    return (schema, rest) if dot else ("public", name)


def like(pattern: str, text: str | None) -> bool:
    """Whether a text fits a pattern with `*` for any text; upper and lower case, and kinds of space, are the same."""
    parts = (re.escape(" ".join(part.split())) for part in pattern.split("*"))
    return re.fullmatch(".*?".join(parts), " ".join((text or "").split()), re.IGNORECASE | re.DOTALL) is not None


def fits(wanted: str, observed: str | None) -> bool:
    """Whether a stored SQL expression is what is wanted: `none`, a pattern with `*`, or the same expression."""
    if wanted.strip().lower() == "none":
        return observed is None
    if observed is None:
        return False
    return like(wanted, observed) or same_expression(wanted, observed)


def table(spec: TableCheck, rows: Sequence[Row], count: int | None) -> Judgement:
    """A table. `count`: its rows, where they were counted."""
    subject = f"table {spec.name}"
    if not rows or not spec.exists:
        return _existence(subject, wanted=spec.exists, found=len(rows))
    facts = Facts(subject)
    facts.add("row level security", spec.rls, rows[0]["rls"])
    missing = [name for name in spec.columns or () if name not in rows[0]["columns"]]
    facts.add("columns", _list(spec.columns), f"missing: {_list(missing)}", holds=not missing)
    if spec.comment is not None:
        facts.add("comment", spec.comment, rows[0]["comment"], holds=like(spec.comment, rows[0]["comment"]))
    if spec.rows is not None and count is not None:
        number = judge_count(spec.rows, count)
        facts.add("", number.expected, number.observed, holds=number.verdict is Verdict.PASSED)
    return facts.judgement()


def column(spec: ColumnCheck, rows: Sequence[Row]) -> Judgement:
    """A column, or every column whose name fits the pattern."""
    subject = f"column {spec.table}.{spec.name}"
    found = [row for row in rows if row["name"] == spec.name or ("*" in spec.name and like(spec.name, row["name"]))]
    if not found or not spec.exists:
        return _existence(subject, wanted=spec.exists, found=len(found))
    if spec.type is not None and not found[0]["type_known"]:
        return Judgement(Verdict.ERRORED, f"{subject} has type {spec.type}", f"there is no type named {spec.type}")
    judgements = [_column(f"column {spec.table}.{row['name']}", spec, row) for row in found]
    bad = [(row, each) for row, each in zip(found, judgements, strict=True) if each.verdict is not Verdict.PASSED]
    if not bad:
        names = f": {_list(row['name'] for row in found)}" if "*" in spec.name else ""
        return judgements[0]._replace(observed=judgements[0].observed + names)
    if len(found) == 1:
        return judgements[0]
    told = "; ".join(f"{row['name']}: {each.observed}" for row, each in bad)
    return Judgement(Verdict.FAILED, bad[0][1].expected, told)


def _column(subject: str, spec: ColumnCheck, row: Row) -> Judgement:
    facts = Facts(subject)
    modifier = re.search(r"\(.*\)", (spec.type or "").replace(" ", ""))
    same = bool(row["same_type"]) and (modifier is None or modifier[0] in row["type"].replace(" ", ""))
    facts.add("type", spec.type, row["type"], holds=same)
    facts.add("nullable", spec.nullable, row["nullable"])
    if spec.default is not None:
        facts.add("default", spec.default, row["default"], holds=fits(spec.default, row["default"]))
    if spec.comment is not None:
        facts.add("comment", spec.comment, row["comment"], holds=like(spec.comment, row["comment"]))
    return facts.judgement()


def index(spec: IndexCheck, rows: Sequence[Row]) -> Judgement:
    """An index, by name or by table and columns."""
    by_columns = spec.name is None
    found = [row for row in rows if not by_columns or _same_columns(spec.columns or (), row["columns"])]
    where = f" on {spec.table}" if spec.table else ""
    subject = f"index {spec.name}{where}" if spec.name else f"index{where} ({_list(spec.columns)})"
    if not found or not spec.exists:
        return _existence(subject, wanted=spec.exists, found=len(found))
    judgements = [_index(subject, spec, row) for row in found]
    return next((each for each in judgements if each.verdict is Verdict.PASSED), judgements[0])


def _index(subject: str, spec: IndexCheck, row: Row) -> Judgement:
    facts = Facts(subject)
    if spec.columns is not None and spec.name is not None:
        same = _same_columns(spec.columns, row["columns"])
        facts.add("columns", _list(spec.columns), _list(row["columns"]), holds=same)
    facts.add("unique", spec.unique, row["unique"])
    facts.add("valid", spec.valid, row["valid"])
    facts.add("method", spec.method, row["method"])
    if spec.where is not None:
        facts.add("where", spec.where, row["where"], holds=fits(spec.where, row["where"]))
    return facts.judgement()


def _same_columns(wanted: Sequence[str], observed: Sequence[str]) -> bool:
    return len(wanted) == len(observed) and all(map(_same_column, wanted, observed))


def _same_column(wanted: str, observed: str) -> bool:
    wanted, _, direction = _direction(wanted)
    stored, _, stored_direction = _direction(observed)
    if direction and direction != (stored_direction or "asc"):
        return False
    return wanted.strip('"') == stored.strip('"') or same_expression(wanted, stored)


def _direction(column_text: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"(.*?)\s+(asc|desc)", column_text.strip(), re.IGNORECASE | re.DOTALL)
    return (match[1], " ", match[2].lower()) if match else (column_text.strip(), "", "")


def constraint(spec: ConstraintCheck, rows: Sequence[Row]) -> Judgement:
    """A constraint of a table."""
    subject = f"constraint {spec.name} on {spec.table}"
    found = [row for row in rows if row["name"] == spec.name]
    if not found or not spec.exists:
        return _existence(subject, wanted=spec.exists, found=len(found))
    facts = Facts(subject)
    facts.add("type", spec.type, _CONSTRAINT_TYPES.get(found[0]["type"], found[0]["type"]))
    facts.add("validated", spec.validated, found[0]["validated"])
    if spec.definition is not None:
        stored = re.sub(r"\s+NOT VALID$", "", found[0]["definition"])
        same = like(spec.definition, stored) or same_expression(_inner(spec.definition), _inner(stored))
        facts.add("definition", spec.definition, stored, holds=same)
    return facts.judgement()


def _inner(definition: str) -> str:
    """The expression of a CHECK constraint."""
    return re.sub(r"^\s*check\s*", "", definition, flags=re.IGNORECASE)


def foreign_key(spec: ForeignKeyCheck, rows: Sequence[Row]) -> Judgement:
    """A foreign key, by what it links."""
    target = re.fullmatch(r"([^()]+?)\s*(?:\(([^()]*)\))?", spec.references.strip())
    schema, name = qualified(target[1] if target else spec.references)
    columns = [part.strip() for part in target[2].split(",")] if target and target[2] else None
    subject = f"foreign key {spec.table} ({_list(spec.columns)}) to {spec.references}"
    here = [row for row in rows if row["type"] == "f" and list(row["columns"]) == list(spec.columns)]
    found = [
        row
        for row in here
        if (row["foreign_schema"], row["foreign_table"]) == (schema, name)
        and (columns is None or list(row["foreign_columns"]) == columns)
        and (spec.name is None or row["name"] == spec.name)
    ]
    if not found or not spec.exists:
        others = "; ".join(f"{row['name']}: {row['definition']}" for row in here)
        judgement = _existence(subject, wanted=spec.exists, found=len(found))
        return judgement._replace(observed=f"{judgement.observed}, but {others}") if others and not found else judgement
    facts = Facts(subject)
    facts.add("on delete", spec.on_delete, _ACTIONS.get(found[0]["on_delete"]))
    facts.add("on update", spec.on_update, _ACTIONS.get(found[0]["on_update"]))
    facts.add("validated", spec.validated, found[0]["validated"])
    return facts.judgement()


def trigger(spec: TriggerCheck, rows: Sequence[Row]) -> Judgement:
    """A trigger of a table."""
    subject = f"trigger {spec.name} on {spec.table}"
    found = [row for row in rows if row["name"] == spec.name]
    if not found or not spec.exists:
        return _existence(subject, wanted=spec.exists, found=len(found))
    facts = Facts(subject)
    facts.add("enabled", spec.enabled, found[0]["enabled"])
    facts.add("timing", spec.timing, found[0]["timing"])
    facts.add("level", spec.level, found[0]["level"])
    if spec.events is not None:
        facts.add("events", _list(sorted(spec.events)), _list(sorted(found[0]["events"])))
    if spec.function is not None:
        calls = (found[0]["function_schema"], found[0]["function"])
        facts.add("function", spec.function, ".".join(calls), holds=calls == qualified(spec.function))
    return facts.judgement()


def function(spec: FunctionCheck, rows: Sequence[Row]) -> Judgement:
    """A function, of these arguments or of any."""
    subject = f"function {spec.name}" + (f"({spec.args})" if spec.args is not None else "")
    found = [row for row in rows if row["same_args"]]
    if not found or not spec.exists:
        judgement = _existence(subject, wanted=spec.exists, found=len(found))
        others = _list(f"({row['args']})" for row in rows)
        return judgement._replace(observed=f"only with {others}") if spec.exists and others else judgement
    judgements = []
    for row in found:
        facts = Facts(subject)
        if spec.returns is not None:
            facts.add("result", spec.returns, row["returns"], holds=like(spec.returns, row["returns"]))
        facts.add("language", spec.language, row["language"])
        facts.add("security definer", spec.security_definer, row["security_definer"])
        judgements.append(facts.judgement())
    return next((each for each in judgements if each.verdict is not Verdict.PASSED), judgements[0])


def policy(spec: PolicyCheck, tables: Sequence[Row], rows: Sequence[Row]) -> Judgement:
    """The policies of a table. `tables`: the row of sql/checks/table.sql."""
    subject = f"policy {spec.name} on {spec.table}" if spec.name else f"a policy on {spec.table}"
    found = [row for row in rows if _policy_is_meant(spec, row)]
    if not spec.exists:
        return _existence(subject, wanted=False, found=len(found))
    if not tables:
        return Judgement(Verdict.FAILED, f"{subject} exists", f"there is no table {spec.table}")
    facts = Facts(subject)
    facts.add("row level security", wanted=True, observed=tables[0]["rls"])
    if spec.count is not None:
        number = judge_count(spec.count, len(found), what="policies")
        facts.add("", number.expected, number.observed, holds=number.verdict is Verdict.PASSED)
    elif not found:
        return _existence(subject, wanted=True, found=0)
    covered = {each for row in found for each in (_COMMANDS if row["command"] == "all" else (row["command"],))}
    missing = [command for command in spec.commands or () if command not in covered]
    facts.add("commands", _list(spec.commands), f"none for {_list(missing)}", holds=not missing)
    for key, wanted in (("using", spec.using), ("check", spec.check)):
        odd = [row for row in found if wanted is not None and not fits(wanted, row[key])]
        told = "; ".join(f"{row['name']}: {row[key]}" for row in odd)
        facts.add(key, wanted, told, holds=not odd)
    return facts.judgement()


def _policy_is_meant(spec: PolicyCheck, row: Row) -> bool:
    return (
        (spec.name is None or row["name"] == spec.name)
        and (spec.roles is None or "public" in row["roles"] or bool(set(spec.roles) & set(row["roles"])))
        and (spec.permissive is None or row["permissive"] is spec.permissive)
        and (spec.commands is None or row["command"] == "all" or row["command"] in spec.commands)
    )


def _existence(subject: str, *, wanted: bool, found: int) -> Judgement:
    expected = f"{subject} exists" if wanted else f"no {subject}"
    verdict = Verdict.PASSED if wanted is bool(found) else Verdict.FAILED
    return Judgement(verdict, expected, "it exists" if found else "it does not exist")


def _list(texts: Iterable[str] | None) -> str | None:
    return None if texts is None else ", ".join(texts)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
