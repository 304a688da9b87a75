"""What a query returned against what was expected: a verdict, and both sides in words. Pure."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from agent.core.expectation import Expect
from agent.core.expressions import Expression, ExpressionError, comparable, evaluate, parse_expression, plain
from agent.core.models import Verdict
from agent.core.units import Range

Row = Mapping[str, Any]

ROW_LIMIT = 1000
"""How many rows of a check's query are read. More can only be counted as "more than 1000"."""

_SHOWN_ROWS = 3
_SHOWN_CHARS = 60


class Judgement(NamedTuple):
    """A verdict and why: what was expected and what was seen, each one readable phrase."""

    verdict: Verdict
    expected: str
    observed: str


def judge(expect: Expect, rows: Sequence[Row], *, known: Mapping[str, Any], more: bool = False) -> Judgement:
    """Hold the rows of a query against the expectation.

    Args:
        expect: all of its keys must hold.
        rows: at most `ROW_LIMIT`.
        known: snapshot values, by `before.name` and `after.name`.
        more: the query had further rows that were not read.

    Returns:
        `errored` if any part could not be judged, else `failed` if any did not hold, else `passed`.
    """
    parts = list(_parts(expect, rows, known, more=more))
    worst = next(
        (verdict for verdict in (Verdict.ERRORED, Verdict.FAILED) if any(part.verdict is verdict for part in parts)),
        Verdict.PASSED,
    )
    telling = [part for part in parts if part.verdict is worst]
    return Judgement(worst, _joined(part.expected for part in parts), _joined(part.observed for part in telling))


def expressions_of(expect: Expect) -> tuple[Expression, ...]:
    """All expressions, parsed.

    Raises:
        ValueError: one is wrong.
    """
    texts = (*(expect.that or ()), *(expect.every or ()), *(expect.first or ()))
    return tuple(parse_expression(text) for text in texts)


def judge_count(wanted: Range, count: int, *, what: str = "rows", more: bool = False) -> Judgement:
    """Hold a number against a range; `more`: the number is only a lower bound."""
    expected, observed = f"{wanted} {what}", f"{'more than ' if more else ''}{count} {what}"
    if not more:
        return Judgement(_verdict(holds=wanted.holds(count)), expected, observed)
    if wanted.high is None and wanted.holds(count + 1):
        return Judgement(Verdict.PASSED, expected, observed)
    if wanted.high is not None and wanted.high <= count:
        return Judgement(Verdict.FAILED, expected, observed)
    return Judgement(Verdict.ERRORED, expected, f"{observed}; count them in SQL")


def same(expected: Any, observed: Any) -> bool:  # noqa: ANN401 - whatever a column holds
    """Whether a column's value equals what the runbook says; NULL equals only `null`."""
    expected, observed = plain(expected), plain(observed)
    if expected is None or observed is None:
        return expected is observed
    if isinstance(expected, list) and isinstance(observed, list):
        return len(expected) == len(observed) and all(map(same, expected, observed))
    if isinstance(expected, dict) and isinstance(observed, dict):
        return expected.keys() == observed.keys() and all(same(expected[key], observed[key]) for key in expected)
    try:
        return bool(operator.eq(*comparable(expected, observed)))
    except (ExpressionError, TypeError):
        return False


def jsonable(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    """A column's value in a form that JSON keeps, and that still compares with the value itself."""
    value = plain(value)
    if isinstance(value, Decimal):
        number = float(value)
        if value.is_finite() and value == value.to_integral_value() and abs(value) < 2**63:
            return int(value)
        return number if value.is_finite() and Decimal(repr(number)) == value else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    return str(value) if isinstance(value, timedelta) else value


def show(value: Any) -> str:  # noqa: ANN401 - whatever a column holds
    """A value for people, on one line, shortened."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | int | float):
        return str(value)
    text = " ".join(str(plain(value)).split())
    text = text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"
    return f"'{text}'" if isinstance(value, str) else text


def show_row(row: Row) -> str:
    """A row for people: `a = 1, b = 'x'`."""
    return ", ".join(f"{name} = {show(value)}" for name, value in row.items())


def _parts(expect: Expect, rows: Sequence[Row], known: Mapping[str, Any], *, more: bool) -> Iterable[Judgement]:
    if "value" in expect.model_fields_set:
        yield _value(expect, rows)
    if expect.rows is not None:
        yield judge_count(expect.rows, len(rows), more=more)
    if expect.empty is not None:
        expected = "no rows" if expect.empty else "at least one row"
        yield Judgement(_verdict(holds=(not rows) is expect.empty), expected, _show_rows(rows, more=more))
    for key, exact in (("equals", True), ("includes", False)):
        wanted = getattr(expect, key)
        if wanted is not None:
            yield _too_many(f"{key} {len(wanted)} rows") if more else _rows(wanted, rows, exact=exact)
    for text in expect.that or ():
        yield _that(parse_expression(text), rows, known)
    for text in expect.every or ():
        yield _too_many(f"every row: {text}") if more else _every(parse_expression(text), rows, known)
    for text in expect.first or ():
        yield _one(parse_expression(text), rows[0], known) if rows else Judgement(Verdict.FAILED, text, "no rows")


def _value(expect: Expect, rows: Sequence[Row]) -> Judgement:
    expected = show(expect.value) + (f" ± {expect.tolerance.strip()}" if expect.tolerance else "")
    if len(rows) != 1:
        return Judgement(Verdict.FAILED, expected, "no rows" if not rows else f"{len(rows)} rows instead of one value")
    if len(rows[0]) != 1:
        columns = ", ".join(rows[0])
        return Judgement(
            Verdict.ERRORED, expected, f"the query returns {len(rows[0])} columns ({columns}), not one value"
        )
    observed = next(iter(rows[0].values()))
    holds = same(expect.value, observed) if expect.tolerance is None else _near(expect, observed)
    return Judgement(_verdict(holds=holds), expected, show(observed))


def _near(expect: Expect, observed: Any) -> bool:  # noqa: ANN401 - whatever a column holds
    observed = plain(observed)
    if isinstance(observed, bool) or not isinstance(observed, int | Decimal) or not Decimal(observed).is_finite():
        return False
    assert expect.tolerance is not None  # noqa: S101 - the caller looked
    wanted, text = Decimal(str(expect.value)), expect.tolerance.strip()
    allowed = abs(wanted) * Decimal(text.rstrip("% ")) / 100 if text.endswith("%") else Decimal(text)
    return abs(Decimal(observed) - wanted) <= allowed


def _rows(wanted: Sequence[Any], rows: Sequence[Row], *, exact: bool) -> Judgement:
    """Each wanted row takes one row of the result; with `exact` none may be left over."""
    names = _listed(show_row(want) if isinstance(want, dict) else show(want) for want in wanted) or "no rows"
    expected = f"exactly {names}" if exact else names
    left = list(rows)
    missing = []
    for want in sorted(wanted, key=lambda want: -len(want) if isinstance(want, dict) else 0):
        found = next((row for row in left if _row_fits(want, row, exact=exact)), None)
        if found is None:
            missing.append(show_row(want) if isinstance(want, dict) else show(want))
        else:
            left.remove(found)
    extra = [_brief(row) for row in left] if exact else []
    if not missing and not extra:
        return Judgement(Verdict.PASSED, expected, "these" if rows else "no rows")
    told = [f"missing: {_listed(missing)}"] * bool(missing) + [f"not expected: {_listed(extra)}"] * bool(extra)
    return Judgement(Verdict.FAILED, expected, "; ".join(told))


def _row_fits(want: Any, row: Row, *, exact: bool) -> bool:  # noqa: ANN401 - whatever the runbook holds
    if isinstance(want, dict):
        fits = all(name in row and same(value, row[name]) for name, value in want.items())
        return fits and (not exact or len(want) == len(row))
    values = list(row.values())
    return (
        same(want, values)
        if isinstance(want, list) and len(values) != 1
        else len(values) == 1 and same(want, values[0])
    )


def _that(expression: Expression, rows: Sequence[Row], known: Mapping[str, Any]) -> Judgement:
    if len(rows) != 1:
        observed = "no rows" if not rows else f"{len(rows)} rows; `that` needs exactly one (see every, first)"
        return Judgement(Verdict.FAILED, expression.text, observed)
    return _one(expression, rows[0], known)


def _one(expression: Expression, row: Row, known: Mapping[str, Any]) -> Judgement:
    values = {**row, **known}
    used = {name: values[name] for name in expression.names if name in values}
    try:
        holds = evaluate(expression, values)
    except ExpressionError as error:
        missing = [name for name in expression.names if name not in values]
        told = f"the query returns no {missing[0]}, only {', '.join(row)}" if missing else f"{error}: {show_row(used)}"
        return Judgement(Verdict.ERRORED, expression.text, told)
    return Judgement(_verdict(holds=holds), expression.text, show_row(used))


def _every(expression: Expression, rows: Sequence[Row], known: Mapping[str, Any]) -> Judgement:
    expected = f"every row: {expression.text}"
    parts = [_one(expression, row, known) for row in rows]
    for verdict in (Verdict.ERRORED, Verdict.FAILED):
        bad = [(number, part) for number, part in enumerate(parts, start=1) if part.verdict is verdict]
        if bad:
            number, part = bad[0]
            return Judgement(verdict, expected, f"{len(bad)} of {len(rows)} rows do not; row {number}: {part.observed}")
    return Judgement(Verdict.PASSED, expected, f"all {len(rows)} rows" if rows else "no rows")


def _too_many(expected: str) -> Judgement:
    return Judgement(Verdict.ERRORED, expected, f"more than {ROW_LIMIT} rows; let the query return only the bad ones")


def _show_rows(rows: Sequence[Row], *, more: bool) -> str:
    if not rows:
        return "no rows"
    return f"{'more than ' if more else ''}{len(rows)} rows: {_listed(_brief(row) for row in rows)}"


def _brief(row: Row) -> str:
    return show(next(iter(row.values()))) if len(row) == 1 else show_row(row)


def _listed(texts: Iterable[str]) -> str:
    all_texts = list(texts)
    more = len(all_texts) - _SHOWN_ROWS
    shown = [f"({text})" if ", " in text else text for text in all_texts[:_SHOWN_ROWS]]
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _verdict(*, holds: bool) -> Verdict:
    return Verdict.PASSED if holds else Verdict.FAILED
