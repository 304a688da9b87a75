"""Which checks the server can judge by itself, before COMMIT, and as which SQL condition.

A condition may be stricter than `core.expect` (the server compares no text with a number, and a NULL never holds), but
never milder: what it cannot say exactly is left to `core.expect`, after COMMIT.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.core.checks import Check
from agent.core.expect import show
from agent.core.expectation import Expect
from agent.core.expressions import parse_expression
from agent.core.models import Severity
from agent.core.units import Range

ROWS = "deploy_agent_rows"
_KEYS = frozenset({"value", "rows", "empty", "that", "every"})
_COMPARISONS: Mapping[type[ast.AST], str] = {
    ast.Eq: "=", ast.NotEq: "<>", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_ARITHMETIC: Mapping[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


class Inside(NamedTuple):
    """`holds`: an SQL condition over the rows of the check's query, called `ROWS`; `words`: what it says."""

    holds: str
    words: str


class _NotInSqlError(Exception):
    """The server cannot judge it."""


def inside(check: Check, before: Mapping[str, Any]) -> Inside | None:
    """The check as a condition, or None: it is judged after COMMIT.

    Args:
        before: the snapshot's values, by name.
    """
    expect = check.expect
    if check.severity is not Severity.ERROR or check.sql is None or expect is None or check.params:
        return None
    if not expect.model_fields_set <= _KEYS:
        return None
    try:
        parts = list(_parts(expect, before))
    except (_NotInSqlError, ValueError):
        return None
    return Inside(" AND ".join(f"({holds})" for holds, _ in parts), "; ".join(words for _, words in parts))


def _parts(expect: Expect, before: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    if "value" in expect.model_fields_set:
        same = "v IS NULL" if expect.value is None else f"v = {_literal(expect.value)}"
        one = "(SELECT count(*) FROM json_object_keys(to_json(one))) = 1"
        found.append(
            (_over(f"count(*) = 1 AND coalesce(bool_and({same} AND {one}), false)", "one(v)"), show(expect.value))
        )
    if expect.rows is not None:
        found.append((_in_range(expect.rows), f"{expect.rows} rows"))
    if expect.empty is not None:
        there = f"EXISTS (SELECT FROM {ROWS})"
        found.append((f"NOT {there}", "no rows") if expect.empty else (there, "at least one row"))
    for text in expect.that or ():
        condition = f"coalesce({_condition(text, before)}, false)"
        found.append((_over(f"count(*) = 1 AND coalesce(bool_and({condition}), false)"), text))
    for text in expect.every or ():
        condition = f"coalesce({_condition(text, before)}, false)"
        found.append((_over(f"coalesce(bool_and({condition}), true)"), f"every row: {text}"))
    return found


def _over(what: str, rows: str = "one") -> str:
    return f"(SELECT {what} FROM {ROWS} AS {rows})"  # noqa: S608 - of literals and quoted names


def _in_range(wanted: Range) -> str:
    above, below = (">", "<") if wanted.exclusive else (">=", "<=")
    bounds = [(above, wanted.low), (below, wanted.high)]
    return " AND ".join(f"{_over('count(*)')} {sign} {end:.15g}" for sign, end in bounds if end is not None)


def _condition(text: str, before: Mapping[str, Any]) -> str:
    return _truth(parse_expression(text).tree, before)


def _truth(node: ast.expr, before: Mapping[str, Any]) -> str:
    """What is true, false or NULL."""
    if isinstance(node, ast.BoolOp):
        word = " AND " if isinstance(node.op, ast.And) else " OR "
        return "(" + word.join(_truth(part, before) for part in node.values) + ")"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return f"(NOT {_truth(node.operand, before)})"
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right, comparison = node.left, node.comparators[0], node.ops[0]
        if isinstance(comparison, ast.Is | ast.IsNot):
            return f"({_value(left, before)} IS {'NOT ' if isinstance(comparison, ast.IsNot) else ''}NULL)"
        if type(comparison) in _COMPARISONS:
            return f"({_value(left, before)} {_COMPARISONS[type(comparison)]} {_value(right, before)})"
    raise _NotInSqlError


def _value(node: ast.expr, before: Mapping[str, Any]) -> str:
    if isinstance(node, ast.Constant):
        return _literal(node.value)
    if isinstance(node, ast.Name):
        if node.id in {"true", "false"}:
            return node.id
        return f'one."{node.id}"'  # an identifier of Python's holds no quote
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "before":
        if node.attr not in before:
            raise _NotInSqlError
        return _literal(before[node.attr])
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return f"({_value(node.left, before)} {_ARITHMETIC[type(node.op)]} {_value(node.right, before)})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return f"(- {_value(node.operand, before)})"
    raise _NotInSqlError


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"({value!r})"
    if isinstance(value, str) and "\\" not in value and "\0" not in value:
        return "'" + value.replace("'", "''") + "'"
    raise _NotInSqlError
