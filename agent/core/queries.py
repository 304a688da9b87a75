"""The SQL of a runbook: parsed when the runbook is read, and its `:name` placeholders bound when it runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pg

_COLON = ":"


class SqlError(ValueError):
    """SQL in a runbook is wrong. `offset`: where, in characters from the start of the text."""

    def __init__(self, message: str, *, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


class _Placeholder(NamedTuple):
    start: int
    end: int
    name: str


def check_query(sql: str, names: Collection[str] = ()) -> None:
    """Make sure that the text is one statement that only reads: SELECT, VALUES, TABLE or WITH.

    Args:
        sql: the text.
        names: the parameters that may stand in it as `:name`.

    Raises:
        SqlError: it is not, or it uses a placeholder that has no parameter.
    """
    tree = _parsed(sql, names)
    [statement] = _single(tree)
    if statement.WhichOneof("node") != "select_stmt" or statement.select_stmt.HasField("into_clause"):
        raise SqlError("this is not a query; SELECT, VALUES, TABLE and WITH … SELECT are")
    for kind in (pg.InsertStmt, pg.UpdateStmt, pg.DeleteStmt, pg.MergeStmt):
        if next(postgast.find_nodes(tree, kind), None) is not None:
            raise SqlError("a query of a runbook only reads; this one has a writing WITH")
    names_out = [name for target in _targets(statement.select_stmt) if (name := _column_name(target.res_target))]
    twice = next((name for name in names_out if names_out.count(name) > 1), "")
    if twice:
        raise SqlError(f"two columns are called {twice}; give each a name with AS")


def check_statement(sql: str, names: Collection[str] = ()) -> None:
    """Make sure that the text is one statement, and none that begins or ends a transaction.

    Raises:
        SqlError: it is not.
    """
    [statement] = _single(_parsed(sql, names))
    if statement.WhichOneof("node") == "transaction_stmt":
        raise SqlError("this runs inside a transaction of the agent, and cannot begin or end one")


def check_script(sql: str) -> None:
    """Make sure that the text parses and holds a statement.

    Raises:
        SqlError: it does not.
    """
    if not _parsed(sql, ()).stmts:
        raise SqlError("there is no statement here")


def bind(sql: str, names: Collection[str]) -> str:
    """The text with psycopg's placeholders: `:name` becomes `%(name)s`, and `%` doubles. As it is without names."""
    if not names:
        return sql
    text, end = "", 0
    for placeholder in _placeholders(sql, names):
        text += sql[end : placeholder.start].replace("%", "%%") + f"%({placeholder.name})s"
        end = placeholder.end
    return text + sql[end:].replace("%", "%%")


def used_names(sql: str, names: Collection[str]) -> set[str]:
    """Which of these parameters the text uses."""
    return {placeholder.name for placeholder in _placeholders(sql, names)}


def same_expression(one: str, other: str) -> bool:
    """Whether two SQL expressions are the same but for casts, needless parentheses, spaces and case of keywords.

    Postgres shows a stored expression with casts that nobody wrote, such as `((kind)::text = 'a'::text)`.
    """
    left, right = _canonical(one), _canonical(other)
    return left is not None and left == right


def one_statement(sql: str) -> str:
    """The text up to its first semicolon outside quotes and comments, so that it can stand inside another statement.

    Raises:
        SqlError: a quote or a comment does not end.
    """
    raw = sql.encode()
    end = next((token.start for token in _tokens(sql) if raw[token.start : token.end] == b";"), len(raw))
    return raw[:end].decode()


def _single(tree: pg.ParseResult) -> list[pg.Node]:
    if len(tree.stmts) != 1:
        raise SqlError(f"exactly one statement belongs here, not {len(tree.stmts)}")
    return [tree.stmts[0].stmt]


def _parsed(sql: str, names: Collection[str]) -> pg.ParseResult:
    """The parse tree, with numbered parameters in place of the named ones (of the same length, to keep offsets)."""
    try:
        found = _placeholders(sql, names)
        text = sql
        for index, placeholder in enumerate(found, start=1):
            number = f"${index}".ljust(placeholder.end - placeholder.start)
            text = text[: placeholder.start] + number + text[placeholder.end :]
        return postgast.parse(text)
    except postgast.PgQueryError as error:
        offset = max(error.cursorpos - 1, 0)
        unknown = sql[offset : offset + 1] == _COLON
        told = f"{error.message}; a :name needs an entry in params" if unknown else error.message
        raise SqlError(told, offset=offset) from error


def _targets(select: pg.SelectStmt) -> list[pg.Node]:
    while select.op != pg.SETOP_NONE:
        select = select.larg
    return list(select.target_list)


def _column_name(target: pg.ResTarget) -> str:
    """The name that a result column gets (parse_target.c, FigureColname), or "" where that is hard to tell."""
    return target.name or _figured(target.val)


def _figured(node: pg.Node) -> str:
    kind = node.WhichOneof("node")
    if kind == "column_ref":
        return str(node.column_ref.fields[-1].string.sval)
    if kind == "func_call":
        return str(node.func_call.funcname[-1].string.sval)
    if kind == "type_cast":
        return _figured(node.type_cast.arg).replace("?column?", "") or str(
            node.type_cast.type_name.names[-1].string.sval
        )
    if kind == "sub_link":
        inner = _targets(node.sub_link.subselect.select_stmt)
        return _column_name(inner[0].res_target) if node.sub_link.sub_link_type == pg.EXPR_SUBLINK and inner else ""
    return {"coalesce_expr": "coalesce", "a_const": "?column?", "a_expr": "?column?"}.get(kind or "", "")


def _placeholders(sql: str, names: Collection[str]) -> list[_Placeholder]:
    """The `:name` of these names, outside quotes and comments; `a::name` is a cast and stays."""
    if not names or _COLON not in sql:
        return []
    raw = sql.encode()
    found = []
    for colon, name in pairwise(_tokens(sql)):
        if raw[colon.start : colon.end] == b":" and name.start == colon.end:
            text = raw[name.start : name.end].decode()
            if text in names:
                start = len(raw[: colon.start].decode())
                found.append(_Placeholder(start, start + 1 + len(text), text))
    return found


def _tokens(sql: str) -> list[pg.ScanToken]:
    try:
        return list(postgast.scan(sql).tokens)
    except postgast.PgQueryError as error:
        raise SqlError(error.message, offset=max(error.cursorpos - 1, 0)) from error


def _canonical(expression: str) -> str | None:
    try:
        tree = postgast.parse(f"SELECT {expression}")
        if len(tree.stmts) != 1:
            return None
        _simplify(tree)
        return str(postgast.deparse(tree))
    except postgast.PgQueryError:
        return None


def _simplify(message: Message) -> None:
    """Take out what Postgres adds when it stores an expression; see src/backend/utils/adt/ruleutils.c."""
    if isinstance(message, pg.Node):
        while message.WhichOneof("node") == "type_cast":
            inner = pg.Node()
            inner.CopyFrom(message.type_cast.arg)
            message.CopyFrom(inner)
        if message.WhichOneof("node") == "a_expr":
            _simplify_operator(message)
        elif message.WhichOneof("node") == "res_target":
            message.res_target.name = ""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner_message in list(value) if isinstance(value, Sequence) else [value]:
                _simplify(inner_message)


def _simplify_operator(node: pg.Node) -> None:
    """`= ANY (ARRAY[…])` is IN, `>= AND <=` is BETWEEN, `~~` is LIKE."""
    expression = node.a_expr
    if expression.kind in {pg.AEXPR_LIKE, pg.AEXPR_ILIKE}:
        expression.kind = pg.AEXPR_OP
    elif expression.kind in {pg.AEXPR_OP_ANY, pg.AEXPR_OP_ALL}:
        while expression.rexpr.WhichOneof("node") == "type_cast":
            inner = pg.Node()
            inner.CopyFrom(expression.rexpr.type_cast.arg)
            expression.rexpr.CopyFrom(inner)
        if expression.rexpr.WhichOneof("node") == "a_array_expr":
            elements = list(expression.rexpr.a_array_expr.elements)
            items = pg.Node(list=pg.List(items=elements))
            expression.rexpr.CopyFrom(items)
            expression.kind = pg.AEXPR_IN
    elif expression.kind == pg.AEXPR_BETWEEN:
        low, high = expression.rexpr.list.items
        bounds = [
            pg.Node(a_expr=pg.A_Expr(kind=pg.AEXPR_OP, name=[_operator(sign)], lexpr=expression.lexpr, rexpr=bound))
            for sign, bound in ((">=", low), ("<=", high))
        ]
        node.CopyFrom(pg.Node(bool_expr=pg.BoolExpr(boolop=pg.AND_EXPR, args=bounds)))


def _operator(sign: str) -> pg.Node:
    return pg.Node(string=pg.String(sval=sign))
