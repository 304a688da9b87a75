"""Expressions of a runbook, such as `tracks >= audio_posts and total == before.total`: strict to parse, safe to run.

simpleeval evaluates; this module decides what may be evaluated at all: names, `before.` and `after.` names, numbers,
texts, comparisons, arithmetic without powers, `and or not in is`, and the functions in `FUNCTIONS`. Nothing else
parses, so no expression can reach Python's objects, and size limits bound its time and memory.

NULL: a comparison or a calculation with NULL cannot be judged, and raises; so it never counts as held. `x is null`,
`x is not null` and `coalesce(x, 0)` are there to say what NULL means.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from simpleeval import SimpleEval  # type: ignore[import-untyped]  # it has no types

_MAX_CHARS = 500
_MAX_NODES = 150
_MAX_DIGITS = 1000
_MAX_TEXT = 100_000
_SPACES = ("before", "after")
_CONSTANTS: Mapping[str, bool | None] = {"null": None, "true": True, "false": False}
_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add, ast.Sub,
    ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In,
    ast.NotIn, ast.Is, ast.IsNot, ast.Name, ast.Load, ast.Attribute, ast.Constant, ast.Call, ast.Tuple, ast.List,
)  # fmt: skip


class ExpressionError(Exception):
    """An expression cannot be judged: a name is missing, a value is NULL, types do not go together."""


@dataclass(frozen=True, kw_only=True)
class Expression:
    """A parsed expression; `names` are what it needs, `before.x` and `after.x` among them."""

    text: str
    tree: ast.expr
    names: tuple[str, ...]


def parse_expression(text: str) -> Expression:
    """Parse an expression.

    Args:
        text: at most 500 characters.

    Raises:
        ValueError: what is wrong with it, in words.
    """
    if len(text) > _MAX_CHARS:
        raise ValueError(f"an expression has at most {_MAX_CHARS} characters")
    if "\\" in text or "\0" in text:
        raise ValueError("an expression holds no backslash")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval")
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is not an expression{_sql_habit(text)}") from error
    if len(nodes) > _MAX_NODES:
        raise ValueError(f"the expression has more than {_MAX_NODES} parts")
    inside: set[ast.AST] = set()
    names: list[str] = []
    for node in nodes:
        _refuse(node, text)
        if isinstance(node, ast.Attribute):
            inside.add(node.value)
            names.append(_dotted(node))
        elif isinstance(node, ast.Call):
            inside.add(node.func)
        elif isinstance(node, ast.Name) and node not in inside and node.id not in _CONSTANTS:
            names.append(node.id)
    bare = [name for name in names if name in _SPACES]
    if bare:
        raise ValueError(f"{bare[0]} needs the name of a snapshot query: {bare[0]}.something")
    return Expression(text=text, tree=tree.body, names=tuple(dict.fromkeys(names)))


def _refuse(node: ast.AST, text: str) -> None:
    """Raise for anything that is not on the list of what an expression may hold."""
    if not isinstance(node, _ALLOWED):
        raise ValueError(f"{text!r} uses {type(node).__name__}, which expressions do not have")  # noqa: TRY004 - a user's error
    if isinstance(node, ast.Constant) and (
        not isinstance(node.value, bool | int | float | str | None) or node.value in (float("inf"), float("-inf"))
    ):
        raise ValueError(f"{text!r} holds a constant that is no number, text, true, false or null")
    if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in _SPACES):
        raise ValueError(f"{text!r}: a dot may only follow before or after")
    if isinstance(node, ast.Call) and (
        node.keywords or not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS
    ):
        raise ValueError(f"{text!r} calls something else than {', '.join(FUNCTIONS)}")
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for index, comparison in enumerate(node.ops):
            null = _is_null(sides[index + 1])
            if isinstance(comparison, ast.Is | ast.IsNot) and not null:
                raise ValueError(f"{text!r}: `is` is for `is null` and `is not null`; compare with ==")
            if not isinstance(comparison, ast.Is | ast.IsNot) and (null or _is_null(sides[index])):
                raise ValueError(f"{text!r}: nothing compares with NULL; write `is null` or `is not null`")


def _is_null(node: ast.AST) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or (isinstance(node, ast.Name) and node.id == "null")


def _sql_habit(text: str) -> str:
    if "<>" in text:
        return "; write != instead of <>"
    bare = text.replace("==", "").replace("<=", "").replace(">=", "").replace("!=", "")
    return "; write == to compare" if "=" in bare else ""


def _dotted(node: ast.Attribute) -> str:
    assert isinstance(node.value, ast.Name)  # noqa: S101 - checked by _refuse
    return f"{node.value.id}.{node.attr}"


def evaluate(expression: Expression, values: Mapping[str, Any]) -> bool:
    """Whether the expression holds.

    Args:
        expression: from `parse_expression`.
        values: by name; for snapshot values the name is `before.x` or `after.x`. Extra names do no harm.

    Raises:
        ExpressionError: it cannot be judged; never treat this as held.
    """
    missing = [name for name in expression.names if name not in values]
    if missing:
        raise ExpressionError(f"there is no {missing[0]}")
    scope = {**_CONSTANTS, **{name: plain(values[name]) for name in expression.names}}
    try:
        result = _Evaluator(scope).eval(expression.text, previously_parsed=expression.tree)
    except ExpressionError:
        raise
    except ZeroDivisionError as error:
        raise ExpressionError(f"{expression.text!r} divides by zero") from error
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise ExpressionError(f"{expression.text!r} cannot be judged: {error}") from error
    if not isinstance(result, bool):
        raise ExpressionError(f"{expression.text!r} is {'NULL' if result is None else 'no yes or no'}")
    return result


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    """A column's value as something that compares: numbers, texts, booleans, dates, lists, mappings, or None."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if value is None or isinstance(value, bool | int | Decimal | str | date | timedelta):
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return "\\x" + bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def comparable(left: Any, right: Any) -> tuple[Any, Any]:  # noqa: ANN401 - whatever a column holds
    """Both values in one type: a number and a numeric text as numbers, a date and an ISO text as dates.

    Raises:
        ExpressionError: one is NULL or NaN, or they are of kinds that do not compare.
    """
    if left is None or right is None:
        raise ExpressionError("a value is NULL")
    for value in (left, right):
        if isinstance(value, Decimal) and value.is_nan():
            raise ExpressionError("a value is NaN")
    if _kind(left) == _kind(right):
        return left, right
    if isinstance(left, str):
        return _from_text(left, right), right
    if isinstance(right, str):
        return left, _from_text(right, left)
    raise ExpressionError(f"a {_kind(left)} and a {_kind(right)} do not compare")


def _kind(value: Any) -> str:  # noqa: ANN401 - whatever a column holds
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    if isinstance(value, datetime):
        return "time with zone" if value.tzinfo else "time"
    name = type(value).__name__
    return {"str": "text", "dict": "mapping"}.get(name, name)


def _from_text(text: str, other: Any) -> Any:  # noqa: ANN401 - of the other's type
    try:
        if isinstance(other, datetime):
            moment = datetime.fromisoformat(text)
            if (moment.tzinfo is None) == (other.tzinfo is None):
                return moment
        elif isinstance(other, date):
            return date.fromisoformat(text)
        elif _kind(other) == "number" and len(text) <= _MAX_DIGITS:
            number = Decimal(text)
            if number.is_finite():
                return number
    except (ValueError, ArithmeticError):
        pass
    raise ExpressionError(f"the text {text[:40]!r} and a {_kind(other)} do not compare")


def _numbers(*values: Any) -> None:  # noqa: ANN401 - whatever a column holds
    for value in values:
        if value is None:
            raise ExpressionError("a value is NULL")
        if _kind(value) != "number":
            raise ExpressionError(f"a {_kind(value)} is no number")
        if isinstance(value, int) and value.bit_length() > _MAX_DIGITS * 4:
            raise ExpressionError("a number is too large")


def _arithmetic(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:  # noqa: ANN401 - numbers
        _numbers(left, right)
        return function(left, right)

    return apply


def _comparison(function: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:  # noqa: ANN401 - whatever a column holds
        return bool(function(*comparable(left, right)))

    return apply


def _contains(left: Any, right: Any) -> bool:  # noqa: ANN401 - whatever a column holds
    if isinstance(right, str) and isinstance(left, str):
        return left in right
    if not isinstance(right, list | tuple):
        raise ExpressionError("`in` needs a list or a text on its right")
    return any(operator.eq(*comparable(left, item)) for item in right)


def _divide(left: Any, right: Any) -> Any:  # noqa: ANN401 - numbers
    return Decimal(left) / Decimal(right)


def _truth(value: Any) -> bool:  # noqa: ANN401 - whatever a column holds
    if not isinstance(value, bool):
        raise ExpressionError(
            "NULL is neither true nor false" if value is None else "`and`, `or`, `not` need yes or no"
        )
    return value


def _round(value: Any, digits: Any = 0) -> Any:  # noqa: ANN401 - numbers
    _numbers(value, digits)
    if not isinstance(digits, int) or not -20 <= digits <= 20:
        raise ExpressionError("round takes a number of digits between -20 and 20")
    return Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def _length(value: Any) -> int:  # noqa: ANN401 - whatever a column holds
    if not isinstance(value, str | list | dict):
        raise ExpressionError(
            "len needs a text or a list, and has NULL" if value is None else "len needs a text or a list"
        )
    return len(value)


def _extreme(better: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    def apply(*values: Any) -> Any:  # noqa: ANN401 - whatever a column holds
        if not values:
            raise ExpressionError("min and max need a value")
        best = values[0]
        for value in values[1:]:
            mine, other = comparable(value, best)
            best = mine if better(mine, other) else other
        return best

    return apply


def _absolute(value: Any) -> Any:  # noqa: ANN401 - a number
    _numbers(value)
    return abs(value)


def _coalesce(*values: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    return next((value for value in values if value is not None), None)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": _absolute,
    "coalesce": _coalesce,
    "len": _length,
    "max": _extreme(operator.gt),
    "min": _extreme(operator.lt),
    "round": _round,
}

_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: _arithmetic(operator.add),
    ast.Sub: _arithmetic(operator.sub),
    ast.Mult: _arithmetic(operator.mul),
    ast.Div: _arithmetic(_divide),
    ast.FloorDiv: _arithmetic(operator.floordiv),
    ast.Mod: _arithmetic(operator.mod),
    ast.USub: lambda value: _arithmetic(operator.sub)(0, value),
    ast.UAdd: lambda value: _arithmetic(operator.add)(0, value),
    ast.Not: lambda value: not _truth(value),
    ast.Eq: _comparison(operator.eq),
    ast.NotEq: _comparison(operator.ne),
    ast.Lt: _comparison(operator.lt),
    ast.LtE: _comparison(operator.le),
    ast.Gt: _comparison(operator.gt),
    ast.GtE: _comparison(operator.ge),
    ast.In: _contains,
    ast.NotIn: lambda left, right: not _contains(left, right),
    ast.Is: lambda left, _null: left is None,
    ast.IsNot: lambda left, _null: left is not None,
}


class _Evaluator(SimpleEval):  # type: ignore[misc]  # simpleeval has no types
    """simpleeval with exactly the operators, functions and nodes of this module."""

    nodes: dict[type[ast.AST], Callable[..., Any]]

    def __init__(self, scope: Mapping[str, Any]) -> None:
        super().__init__(operators=dict(_OPERATORS), functions=dict(FUNCTIONS), names=dict(scope))
        kept = (ast.Name, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Call)
        self.nodes = {node: self.nodes[node] for node in kept} | {
            ast.Constant: lambda node: plain(node.value),
            ast.Attribute: lambda node: scope[_dotted(node)],
            ast.BoolOp: self._junction,
            ast.Tuple: self._list,
            ast.List: self._list,
        }

    def _junction(self, node: ast.BoolOp) -> bool:
        decisive = isinstance(node.op, ast.Or)
        return next((decisive for part in node.values if _truth(self._eval(part)) is decisive), not decisive)

    def _list(self, node: ast.Tuple | ast.List) -> list[Any]:
        return [self._eval(part) for part in node.elts]


def used(expressions: Iterable[Expression], space: str) -> tuple[str, ...]:
    """The snapshot names that expressions use with `before` or `after`, without the prefix."""
    prefix = f"{space}."
    names = (name for expression in expressions for name in expression.names)
    return tuple(dict.fromkeys(name.removeprefix(prefix) for name in names if name.startswith(prefix)))
