"""Expectations to verdicts, and expressions: exact, honest about NULL, and closed to everything hostile."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.checks import PerformanceCheck
from agent.core.expect import ROW_LIMIT, jsonable, judge, same, show
from agent.core.expectation import Expect
from agent.core.expressions import ExpressionError, evaluate, parse_expression
from agent.core.models import Verdict
from agent.core.plans import is_small, read_plan, shape_slips
from agent.core.structure import fits, like

PASSED, FAILED, ERRORED = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED
MOMENT = datetime(2025, 1, 22, 12, 30, tzinfo=UTC)
ID = uuid.UUID("11111111-1111-1111-1111-111111111111")


def verdict(expect: Any, *rows: dict[str, Any], more: bool = False, **known: Any) -> tuple[Verdict, str]:
    spec = Expect.model_validate(expect if isinstance(expect, dict) else {"value": expect})
    found = judge(spec, rows, known={name.replace("__", "."): value for name, value in known.items()}, more=more)
    assert found.expected
    assert found.observed
    return found.verdict, found.observed


@pytest.mark.parametrize(
    ("expect", "value", "wanted"),
    [
        (0, 0, PASSED),
        (0, Decimal("0.00"), PASSED),
        (0.1, Decimal("0.1"), PASSED),
        (1, 1.0, PASSED),
        (1, True, FAILED),
        (True, True, PASSED),
        (True, 1, FAILED),
        ("yes", "yes", PASSED),
        ("5", 5, PASSED),
        ("five", 5, FAILED),
        (str(ID), ID, PASSED),
        ("2025-01-22", date(2025, 1, 22), PASSED),
        ("2025-01-22T12:30:00Z", MOMENT, PASSED),
        ("2025-01-22T13:30:00+01:00", MOMENT, PASSED),
        ("2025-01-22T12:30:00", MOMENT, FAILED),  # without a zone it names no moment
        (None, None, PASSED),
        (None, 0, FAILED),
        (0, None, FAILED),
        ("", None, FAILED),
        (0, float("nan"), FAILED),
        (0, Decimal("NaN"), FAILED),
        (0, "NaN", FAILED),
        (["a", 1], ["a", Decimal(1)], PASSED),
        ({"a": 1}, {"a": 1.0}, PASSED),
        ({"a": 1}, {"a": 1, "b": 2}, FAILED),
        (2**63, 2**63, PASSED),
        (9007199254740993, 9007199254740992, FAILED),
    ],
)
def test_a_value_equals_what_is_written(expect: Any, value: Any, wanted: Verdict) -> None:
    assert verdict({"value": expect}, {"n": value})[0] is wanted


@pytest.mark.parametrize(
    ("tolerance", "value", "wanted"),
    [
        ("5", 105, PASSED), ("5", 95, PASSED), ("5", 106, FAILED), ("0", 100, PASSED),
        ("0.5", Decimal("100.5"), PASSED), ("2%", 98, PASSED), ("2 %", 102, PASSED), ("2%", 97.9, FAILED),
        ("5", None, FAILED), ("5", "100", FAILED), ("5", True, FAILED), ("5", float("inf"), FAILED),
    ],
)  # fmt: skip
def test_tolerance(tolerance: str, value: Any, wanted: Verdict) -> None:
    assert verdict({"value": 100, "tolerance": tolerance}, {"n": value})[0] is wanted


def test_a_value_needs_one_row_with_one_column() -> None:
    assert verdict(0) == (FAILED, "no rows")
    assert verdict(0, {"n": 0}, {"n": 0}) == (FAILED, "2 rows instead of one value")
    assert verdict(0, {"a": 0, "b": 0})[0] is ERRORED


ROWS = [{"name": "a", "n": 1}, {"name": "b", "n": 2}, {"name": "b", "n": 2}]


@pytest.mark.parametrize(
    ("expect", "wanted", "seen"),
    [
        ({"rows": 3}, PASSED, "3 rows"),
        ({"rows": "1..5"}, PASSED, "3 rows"),
        ({"rows": "<3"}, FAILED, "3 rows"),
        ({"rows": "<=3", "every": "n > 0"}, PASSED, "3 rows; all 3 rows"),
        ({"empty": True}, FAILED, "3 rows: (name = 'a', n = 1)"),
        ({"empty": False}, PASSED, "3 rows"),
        ({"every": "n == 2"}, FAILED, "1 of 3 rows do not; row 1: n = 1"),
        ({"every": ["n >= 1", "n <= 2"]}, PASSED, "all 3 rows"),
        ({"first": "n == 1"}, PASSED, "n = 1"),
        ({"first": "n == 2"}, FAILED, "n = 1"),
        ({"that": "n == 1"}, FAILED, "3 rows; `that` needs exactly one"),
        ({"equals": [{"n": 2, "name": "b"}, {"name": "a", "n": 1}, {"name": "b", "n": 2}]}, PASSED, "these"),
        ({"equals": [["b", 2], ["a", 1], ["b", 2]]}, PASSED, "these"),
        ({"equals": [["b", 2], ["a", 1]]}, FAILED, "not expected: (name = 'b', n = 2)"),
        ({"equals": [["b", 2], ["a", 1], ["a", 1]]}, FAILED, "missing: (['a', 1]); not expected"),
        ({"equals": [{"name": "a"}, {"name": "b"}, {"name": "b"}]}, FAILED, "missing"),
        ({"includes": [{"name": "a"}, {"name": "b"}]}, PASSED, "these"),
        ({"includes": [{"name": "a"}, {"name": "a"}]}, FAILED, "missing: name = 'a'"),
        ({"includes": [{"nome": "a"}]}, FAILED, "missing: nome = 'a'"),
        ({"rows": 3, "every": "m > 0"}, ERRORED, "returns no m, only name, n"),
        ({"rows": 4, "every": "m > 0"}, ERRORED, "returns no m"),
    ],
)
def test_rows(expect: dict[str, Any], wanted: Verdict, seen: str) -> None:
    found, observed = verdict(expect, *ROWS)
    assert (found, seen in observed) == (wanted, True), observed


@pytest.mark.parametrize(
    ("expect", "wanted"),
    [
        ({"every": "n > 0"}, PASSED), ({"every": "n > 0", "rows": "1.."}, FAILED), ({"first": "n > 0"}, FAILED),
        ({"that": "n > 0"}, FAILED), ({"equals": []}, PASSED), ({"includes": ["a"]}, FAILED), ({"empty": True}, PASSED),
        ({"empty": False}, FAILED), ({"rows": 0}, PASSED), ({"equals": ["a"]}, FAILED),
    ],
)  # fmt: skip
def test_no_rows(expect: dict[str, Any], wanted: Verdict) -> None:
    assert verdict(expect)[0] is wanted


@pytest.mark.parametrize(
    ("expect", "wanted"),
    [
        ({"rows": "<=5"}, FAILED), ({"rows": "1.."}, PASSED), ({"rows": "5000"}, ERRORED),
        ({"rows": "2000.."}, ERRORED), ({"rows": "..5000"}, ERRORED), ({"empty": True}, FAILED),
        ({"every": "n == 1"}, ERRORED), ({"equals": [1]}, ERRORED), ({"includes": [1]}, ERRORED),
        ({"first": "n == 1"}, PASSED),
    ],
)  # fmt: skip
def test_more_rows_than_are_read(expect: dict[str, Any], wanted: Verdict) -> None:
    assert verdict(expect, *[{"n": 1}] * ROW_LIMIT, more=True)[0] is wanted


def test_expressions_with_snapshot_values() -> None:
    row = {"n": 12}
    assert verdict({"that": "n == before.n + 2"}, row, before__n=10) == (PASSED, "n = 12, before.n = 10")
    assert verdict({"that": "after.n == before.n"}, row, before__n=10, after__n=12)[0] is FAILED
    assert verdict({"that": "abs(n - before.n) <= before.n * 0.2"}, row, before__n=10)[0] is PASSED
    assert verdict({"that": "n == before.m"}, row, before__n=10)[0] is ERRORED


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_a_snapshot_value_still_equals_itself_after_json(number: Decimal) -> None:
    kept = jsonable(number)
    assert isinstance(kept, int | float | str)
    assert evaluate(parse_expression("a == b and not a < b"), {"a": number, "b": kept})


HOLDS = [
    "1 + 1 == 2", "0.1 + 0.2 == 0.3", "10 / 4 == 2.5", "7 // 2 == 3", "7 % 4 == 3", "-3 < -2", "+3 == 3", "3 > 2 > 1",
    "not 3 < 2", "1 == 1 and 2 == 2", "1 == 2 or 2 == 2", "'a' in 'cat'", "2 in (1, 2)", "3 not in [1, 2]",
    "'b' == 'b'", "abs(-3) == 3", "min(3, 1, 2) == 1", "max(0.5, 1) == 1", "round(2.5) == 3",
    "round(1.255, 2) == 1.26", "len('abc') == 3", "coalesce(null, 4) == 4", "x is null", "y is not null",
    "x is null or x > 3", "coalesce(x, 0) == 0", "True == true", "y == 5 and not false",
    "10000000000000000000000001 > 10000000000000000000000000",
]  # fmt: skip


@pytest.mark.parametrize("text", HOLDS)
def test_what_holds(text: str) -> None:
    assert evaluate(parse_expression(text), {"x": None, "y": 5}) is True
    assert evaluate(parse_expression(f"not ({text})"), {"x": None, "y": 5}) is False


@pytest.mark.parametrize(
    "text",
    [
        "x > 3", "x == 0", "x != 0", "x + 1 == 1", "x in (1, 2)", "1 in (x, 2)", "not x", "x and y == 5",
        "y == 5 and x", "len(x) == 0", "abs(x) == 0", "min(x, 1) == 1", "round(x) == 0", "x", "y", "y + 1",
        "y and y == 5", "'a' and y == 5", "coalesce(x, x)", "y / 0 == 1", "y % 0 == 1", "y == 'many'", "y == true",
        "y < 'a'", "(1, 2) < 3", "missing == 1", "nan == 1", "nan > 1", "nan != 1", "round(y, 30) == 1",
        "round(y, 0.5) == 1", "'a' + 1 == 2", "'a' * 3 == 'aaa'", "min() == 1", "max('a', 1) == 1", "abs('a') == 1",
        "len(5) == 1", "5 in 5", "abs(1, 2) == 1",
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_never_held(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(parse_expression(text), {"x": None, "y": 5, "nan": float("nan")})


HOSTILE = [
    "__import__('os').system('true')", "().__class__.__bases__[0].__subclasses__()", "(lambda: 1)()",
    "[x for x in (1,)]", "{x for x in (1,)}", "{'a': 1}", "x[0] == 1", "x.y == 1", "before.x.y == 1",
    "before['x'] == 1", "before == 1", "before.x.__class__ == 1", "9 ** 9 ** 9 == 1", "1 << 100000 == 1", "~1 == 1",
    "1 & 1 == 1", "f'{x}' == ''", "f\"{().__class__}\" == ''", "x if x else x", "(x := 1) == 1", "lambda: 1",
    "print(1)", "eval('1')", "open('/etc/passwd')", "abs(x=1)", "abs(*(1,))", "max(**x)", "'%s' .format(x) == ''",
    "x; y", "import os", "yield 1", "await x", "...", "b'a' == x", "1j == 1", "1e999 == 1", "x = 1", "x <> 1",
    "x === 1", "x == ", "", "   ", "(", "x is y", "x is 3", "x == null", "null == x", "x > None", "'\\x41' == 'A'",
    "x\0 == 1", "not", "@", "x if", "*x", "x -> y", "1 2", "(" * 400, "-" * 499 + "1", "1" * 501, "+".join("1" * 200),
    "not " * 120 + "x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_does_not_parse(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "habit"), [("a = 1", "write =="), ("a <> 1", "write !="), ("a == null", "is null"), ("a is 3", "==")]
)
def test_habits_of_sql_are_understood(text: str, habit: str) -> None:
    with pytest.raises(ValueError, match=habit):
        parse_expression(text)


def test_numbers_cannot_grow_without_bounds() -> None:
    big = "9" * 400
    text = f"x * x * x * x * x * x * x * x * x * x > {big}"
    with pytest.raises(ExpressionError):
        evaluate(parse_expression(text), {"x": 10**900})
    with pytest.raises(ExpressionError):
        evaluate(parse_expression("round(x) == 1"), {"x": Decimal("1e999999")})


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(max_size=5), st.dates(),
    st.datetimes(timezones=st.just(UTC)), st.uuids(), st.lists(st.integers(), max_size=3), st.timedeltas(),
    st.binary(max_size=3),
)  # fmt: skip
_PARTS = st.sampled_from(
    [
        "x", "y", "before.z", "1", "0.5", "'a'", "null", "true", "(", ")", "==", "<", "+", "*", "/", "%", "and", "or",
        "not", "in", "is", ",", "abs(", "len(", "round(", "max(", "coalesce(", "[", "]", ".", "**", "__class__",
        "lambda", ":",
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(_PARTS, max_size=12), _VALUES, _VALUES)
def test_whatever_is_written_it_is_judged_or_refused(parts: list[str], x: Any, y: Any) -> None:
    try:
        held = evaluate(parse_expression(" ".join(parts)), {"x": x, "y": y, "before.z": 3})
    except (ValueError, ExpressionError):
        return
    assert isinstance(held, bool)


@given(_VALUES, _VALUES)
def test_comparisons_never_hold_against_null_and_agree_with_each_other(x: Any, y: Any) -> None:
    known = {"x": x, "y": y}

    def holds(text: str) -> bool | None:
        try:
            return evaluate(parse_expression(text), known)
        except ExpressionError:
            return None

    equal, unequal = holds("x == y"), holds("x != y")
    if x is None or y is None:
        assert equal is None
        assert unequal is None
    assert equal is None or equal is not unequal
    assert same(x, y) == (equal is True or (x is None and y is None))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "NULL"), (True, "true"), (5, "5"), (Decimal("1.50"), "1.50"), ("a\n b", "'a b'"), (ID, str(ID)),
        ("x" * 100, f"'{'x' * 59}…'"), (b"\x01", "\\x01"), ([1, "a"], "[1, 'a']"),
    ],
)  # fmt: skip
def test_values_for_people(value: Any, shown: str) -> None:
    assert show(value) == shown


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("*deprecated*", "DEPRECATED: use\n media", True), ("Use media", "use  media", True), ("*", None, True),
        ("*", "", True), ("a*c", "abd", False), ("a.c", "abc", False), ("none", "none", True), ("x", None, False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, text: str | None, wanted: bool) -> None:
    assert like(pattern, text) is wanted


def test_stored_expressions() -> None:
    assert fits("none", None)
    assert not fits("none", "now()")
    assert not fits("now()", None)
    assert fits("now()", "now()")
    assert fits("'draft'", "'draft'::text")
    assert fits("nextval(*)", "nextval('posts_id_seq'::regclass)")


def plan(*nodes: dict[str, Any]) -> list[Any]:
    return [{"Plan": {"Node Type": "Limit", "Plans": list(nodes)}, "Execution Time": 1.25}]


def test_plans() -> None:
    scan = {"Node Type": "Seq Scan", "Relation Name": "posts", "Actual Rows": 10, "Rows Removed by Filter": 90,
            "Actual Loops": 3}  # fmt: skip
    nested = {"Node Type": "Bitmap Heap Scan", "Relation Name": "tracks",
              "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "idx_tracks"}]}  # fmt: skip
    milliseconds, shape = read_plan(plan(scan, nested))
    assert (milliseconds, shape.indexes, shape.scans[0].rows) == (1.25, {"idx_tracks"}, 300.0)

    def spec(**fields: Any) -> PerformanceCheck:
        return PerformanceCheck.model_validate({"sql": "select 1", "max_ms": 5} | fields)

    assert shape_slips(spec(uses_index="idx_tracks"), shape) == []
    assert shape_slips(spec(uses_index=True), shape) == []
    assert shape_slips(spec(uses_index=["idx_tracks", "idx_b"]), shape) == ["index idx_b is not used"]
    assert shape_slips(spec(uses_index=False), shape) == ["an index is used: idx_tracks"]
    assert shape_slips(spec(no_seq_scan_on=["public.posts"]), shape) == ["sequential scan of posts (300 rows)"]
    assert shape_slips(spec(no_seq_scan_on=["tracks"]), shape) == []
    assert is_small(spec(small_table_rows=300), shape)
    assert not is_small(spec(small_table_rows=299), shape)


@pytest.mark.parametrize("answer", [None, [], {}, [{}], [{"Plan": None}], [{"Plan": {}, "Execution Time": "soon"}]])
def test_what_is_no_plan(answer: Any) -> None:
    with pytest.raises(ValueError, match="not the JSON of EXPLAIN"):
        read_plan(answer)
