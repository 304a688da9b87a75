"""The SQL of a runbook: parsed when the runbook is read, and its `:name` placeholders bound when it runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from agent.core.splitter import visible
from agent.core.syntax import parse, syntax_problem

Node = dict[str, Any]
"""A part of a parse tree, see `agent.core.syntax.parse`."""

_PLACEHOLDER = re.compile(r"(?<!:):(?P<name>[A-Za-z_]\w*)")
_WRITING = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_PLACES = frozenset({"location", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end"})


class SqlError(ValueError):
    """SQL in a runbook is wrong. `offset`: where, in characters from the start of the text."""

    def __init__(self, message: str, *, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


def check_query(sql: str, names: Collection[str] = ()) -> None:
    """Make sure that the text is one statement that only reads: SELECT, VALUES, TABLE or WITH.

    Args:
        sql: the text.
        names: the parameters that may stand in it as `:name`.

    Raises:
        SqlError: it is not, or it uses a placeholder that has no parameter.
    """
    statement = _single(sql, names)
    select = statement.get("SelectStmt")
    if select is None or "intoClause" in select:
        raise SqlError("this is not a query; SELECT, VALUES, TABLE and WITH … SELECT are")
    if not _WRITING.isdisjoint(_keys(select)):
        raise SqlError("a query of a runbook only reads; this one has a writing WITH")
    names_out = [name for target in _targets(select) if (name := _column_name(target))]
    twice = next((name for name in names_out if names_out.count(name) > 1), "")
    if twice:
        raise SqlError(f"two columns are called {twice}; give each a name with AS")


def check_statement(sql: str, names: Collection[str] = ()) -> None:
    """Make sure that the text is one statement, and none that begins or ends a transaction.

    Raises:
        SqlError: it is not.
    """
    if "TransactionStmt" in _single(sql, names):
        raise SqlError("this runs inside a transaction of the agent, and cannot begin or end one")


def check_script(sql: str) -> None:
    """Make sure that the text parses and holds a statement.

    Raises:
        SqlError: it does not.
    """
    if not _parsed(sql, ()):
        raise SqlError("there is no statement here")


def bind(sql: str, names: Collection[str]) -> str:
    """The text with psycopg's placeholders: `:name` becomes `%(name)s`, and `%` doubles. As it is without names."""
    if not names:
        return sql
    text, end = "", 0
    for found in _placeholders(sql, names):
        text += sql[end : found.start()].replace("%", "%%") + f"%({found['name']})s"
        end = found.end()
    return text + sql[end:].replace("%", "%%")


def used_names(sql: str, names: Collection[str]) -> set[str]:
    """Which of these parameters the text uses."""
    return {found["name"] for found in _placeholders(sql, names)}


def same_expression(one: str, other: str) -> bool:
    """Whether two SQL expressions are the same but for casts, needless parentheses, spaces and case of keywords.

    Postgres shows a stored expression with casts that nobody wrote, such as `((kind)::text = 'a'::text)`.
    """
    left, right = _canonical(one), _canonical(other)
    return left is not None and left == right


def one_statement(sql: str) -> str:
    """The text up to its first semicolon outside quotes and comments, so that it can stand inside another statement."""
    end = visible(sql).find(";")
    return sql if end < 0 else sql[:end]


def _single(sql: str, names: Collection[str]) -> Node:
    statements = _parsed(sql, names)
    if len(statements) != 1:
        raise SqlError(f"exactly one statement belongs here, not {len(statements)}")
    return statements[0]


def _parsed(sql: str, names: Collection[str]) -> list[Node]:
    """The parse trees, with numbered parameters in place of the named ones (of the same length, to keep offsets)."""
    text = sql
    for index, found in enumerate(_placeholders(sql, names), start=1):
        number = f"${index}".ljust(found.end() - found.start())
        text = text[: found.start()] + number + text[found.end() :]
    problem = syntax_problem(text)
    if problem is None:
        return parse(text)
    offset = problem.offset or 0
    unknown = sql[offset : offset + 1] == ":"
    raise SqlError(
        f"{problem.message}; a :name needs an entry in params" if unknown else problem.message, offset=offset
    )


def _placeholders(sql: str, names: Collection[str]) -> list[re.Match[str]]:
    """The `:name` of these names, outside quotes and comments; `a::name` is a cast and stays."""
    if not names or ":" not in sql:
        return []
    return [found for found in _PLACEHOLDER.finditer(visible(sql)) if found["name"] in names]


def _keys(tree: object) -> Iterator[str]:
    """The kinds of nodes in a tree, and the names of their fields."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _targets(select: Node) -> list[Node]:
    while "larg" in select:
        select = select["larg"]
    return [target["ResTarget"] for target in select.get("targetList", ())]


def _column_name(target: Node) -> str:
    """The name that a result column gets (parse_target.c, FigureColname), or "" where that is hard to tell."""
    return str(target["name"]) if "name" in target else _figured(target["val"])


def _figured(node: Node) -> str:
    match node:
        case {"ColumnRef": {"fields": [*_, {"String": {"sval": name}}]}} | {
            "FuncCall": {"funcname": [*_, {"String": {"sval": name}}]}
        }:
            return str(name)
        case {"TypeCast": {"arg": inner, "typeName": {"names": [*_, {"String": {"sval": name}}]}}}:
            return _figured(inner).replace("?column?", "") or str(name)
        case {"SubLink": {"subLinkType": "EXPR_SUBLINK", "subselect": {"SelectStmt": select}}}:
            targets = _targets(select)
            return _column_name(targets[0]) if targets else ""
        case {"CoalesceExpr": _}:
            return "coalesce"
        case {"A_Const": _} | {"A_Expr": _}:
            return "?column?"
        case _:
            return ""


def _canonical(expression: str) -> list[Node] | None:
    text = f"SELECT {expression}"
    if syntax_problem(text) is not None:
        return None
    statements: list[Node] = _simplified(parse(text))
    return statements if len(statements) == 1 else None


def _simplified(tree: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """The tree without what Postgres adds when it stores an expression; see src/backend/utils/adt/ruleutils.c."""
    match tree:
        case list():
            return [_simplified(each) for each in tree]
        case {"TypeCast": {"arg": inner}} | {"ResTarget": {"val": inner}}:
            return _simplified(inner)
        case {"A_Expr": expression}:
            return _without_places(_usual_operator(expression))
        case dict():
            return _without_places(tree)
    return tree


def _without_places(node: Node) -> Node:
    return {key: _simplified(value) for key, value in node.items() if key not in _PLACES}


def _usual_operator(expression: Node) -> Node:
    """`= ANY (ARRAY[…])` is IN, `>= AND <=` is BETWEEN, `~~` is LIKE."""
    match expression:
        case {"kind": "AEXPR_LIKE" | "AEXPR_ILIKE"}:
            return {"A_Expr": expression | {"kind": "AEXPR_OP"}}
        case {"kind": "AEXPR_OP_ANY" | "AEXPR_OP_ALL", "rexpr": {"TypeCast": {"arg": inner}}}:
            return _usual_operator(expression | {"rexpr": inner})
        case {"kind": "AEXPR_OP_ANY" | "AEXPR_OP_ALL", "rexpr": {"A_ArrayExpr": {"elements": elements}}}:
            return {"A_Expr": expression | {"kind": "AEXPR_IN", "rexpr": {"List": {"items": elements}}}}
        case {"kind": "AEXPR_BETWEEN", "lexpr": value, "rexpr": {"List": {"items": [low, high]}}}:
            bounds = [
                {"A_Expr": {"kind": "AEXPR_OP", "name": [{"String": {"sval": sign}}], "lexpr": value, "rexpr": bound}}
                for sign, bound in ((">=", low), ("<=", high))
            ]
            return {"BoolExpr": {"boolop": "AND_EXPR", "args": bounds}}
    return {"A_Expr": expression}
