"""Reading runbooks: what is accepted, and how each mistake is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.models import Failure
from agent.core.patterns import ID, LABEL, WORDS
from agent.core.queries import bind, same_expression
from agent.core.runbook import Runbook
from agent.core.runbook_io import json_schema, load_runbook
from agent.core.units import Range, duration, parse_duration, parse_range, parse_span
from agent.errors import InputError
from agent.settings import Settings
from tests.support import generated

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "config" / "runbook.example.yaml"


def load(text: str) -> Runbook:
    return load_runbook(f"version: 1\ntitle: Test\n{text}", name="deploy.yaml")


def refused(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        load(text)
    return caught.value


def test_the_annotated_example_holds_every_key_and_reads_back_from_json() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    runbook = load_runbook(text, name="example")
    assert Runbook.model_validate_json(runbook.model_dump_json()) == runbook
    schema = json_schema()
    keys = {key for model in (schema, *schema["$defs"].values()) for key in model.get("properties", {})}
    internal = {"low", "high", "exclusive", "low_s", "high_s"}  # of ranges and spans, which are written as text
    assert sorted(key for key in keys - internal if f"{key}:" not in text) == []


def test_generated_files_are_in_step() -> None:
    """Otherwise run `python -m tests.support.generated`."""
    for path, text in generated.wanted().items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_the_least_runbook() -> None:
    runbook = load("")
    assert (runbook.title, list(runbook.all_checks()), runbook.on_failure.restore) == ("Test", [], "auto")


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("20250122000000", "20250122000000"),
        ("'20250122000000'", "20250122000000"),
        ("012", "012"),
        ("007", "007"),
        ("12", "12"),
        ("0", "0"),
        ('"08"', "08"),
    ],
)
def test_versions_are_texts_as_they_are_written(written: str, version: str) -> None:
    assert load(f"migrations: [{{version: {written}}}]").migrations[0].version == version


@pytest.mark.parametrize("written", ["1.5", "true", "0x1F", "1e3", "2025-01-22", "'12a'", "null", "-3", "1_000"])
def test_what_is_no_version(written: str) -> None:
    error = refused(f"migrations: [{{version: {written}}}]")
    assert (error.code, error.where["field"]) in [
        ("runbook.bad_value", "migrations[0].version"),
        ("runbook.wrong_type", "migrations[0].version"),
    ]


def test_yaml_is_read_as_people_mean_it() -> None:
    runbook = load(
        "about: {answer: no, when: 2025-01-01, on: off}\n"
        "checks:\n"
        "  - &first {id: a, sql: select 1, expect: 1, timeout: 2m, severity: warning}\n"
        "  - {<<: *first, id: b, expect: null}\n"
        "  - column: {table: posts, name: x, nullable: no}\n"
    )
    assert runbook.about == {"answer": "no", "when": "2025-01-01", "on": "off"}
    first, second, third = runbook.checks
    assert (first.timeout, second.timeout, second.severity) == (120.0, 120.0, "warning")
    assert second.expect is not None
    assert second.expect.model_fields_set == {"value"}
    assert third.column is not None
    assert third.column.nullable is False
    assert third.id == "column-posts-x"


MISTAKES: list[tuple[str, str, int, int, str, str]] = [
    # code, text, line, column, in the message, in the hint
    ("runbook.unknown_key", "chekcs: []", 3, 1, "'chekcs' in the top level", "'checks'"),
    ("runbook.unknown_key", "migrations:\n  - version: 1\n    moniters: []", 5, 5, "migrations[0]", "'monitors'"),
    ("runbook.unknown_key", "checks:\n  - sql: select 1\n    expect: {valeu: 1}", 5, 14, "checks[0].expect", "'value'"),
    ("runbook.unknown_key", "checks:\n  - table: {name: a, row: 3}", 4, 22, "'row' in checks[0].table", "'rows'"),
    ("runbook.unknown_key", "zzz: 1", 3, 1, "'zzz'", "Known here: about"),
    ("runbook.unknown_check", "checks:\n  - title: x\n    tabel: posts", 5, 5, "no kind of check", "'table'"),
    ("runbook.unknown_check", "checks: [{speed: 1}]", 3, 11, "no kind of check", "performance, http"),
    ("runbook.missing_key", "migrations:\n  - summary: x", 4, 5, "migrations[0] lacks 'version'", ""),
    ("runbook.missing_key", "checks: [{column: {table: posts}}]", 3, 19, "checks[0].column lacks 'name'", ""),
    ("runbook.wrong_type", "checks: 3", 3, 9, "checks: input should be a valid list, not 3", ""),
    ("runbook.wrong_type", "migrations:\n  - version: 1\n    monitors: {a: 1}", 5, 15, "monitors", ""),
    ("runbook.bad_value", "checks: [{sql: select 1, expect: 1, timeout: soon}]", 3, 46, "is not a duration", ""),
    ("runbook.bad_value", "checks: [{sql: select 1, expect: 1, severity: fatal}]", 3, 47, "not 'fatal'", ""),
    ("runbook.bad_value", "checks: [{sql: select 1}]", 3, 10, "sql and expect belong together", ""),
    ("runbook.bad_value", "checks: [{sql: select 1, expect: 1, table: a}]", 3, 10, "has sql and table", ""),
    ("runbook.bad_value", "checks: [{sql: select 1, expect: {}}]", 3, 34, "at least one of value", ""),
    ("runbook.bad_value", "checks: [{title: only}]", 3, 10, "has none", ""),
    ("runbook.bad_value", "checklist: [{text: x}]", 3, 13, "exactly one of checks, step, manual", ""),
    ("runbook.bad_value", "rollback: {complete: {impact: x}}", 3, 22, "exactly one of sql, file", ""),
    ("runbook.bad_value", "metrics: [{name: rows_total, help: x, sql: select 1}]", 3, 11, "_total is kept for", ""),
    ("runbook.bad_value", "metrics: [{name: n, help: x, sql: select 1, labels: [le]}]", 3, 11, "le is reserved", ""),
    (
        "runbook.bad_value",
        "snapshot: [{name: two words, sql: select 1}]",
        3,
        19,
        "snapshot[0].name: 'two words' does not fit: use letters, digits and '_', and do not begin with a digit",
        "",
    ),
    (
        "runbook.bad_value",
        "checks: [{id: a b, sql: select 1, expect: 1}]",
        3,
        15,
        "checks[0].id: 'a b' does not fit: use letters, digits, '_', '.', ':' and '-', at most 100",
        "",
    ),
    ("runbook.duplicate_key", "checks: []\nchecks: []", 4, 1, "'checks' is given twice", "line 3"),
    ("runbook.malformed_yaml", "a: [1", 3, 6, "not valid YAML", "indentation"),
    ("runbook.malformed_yaml", "a: b: c", 3, 5, "mapping values are not allowed", ""),
    ("runbook.malformed_yaml", "a: 'open", 3, 9, "quoted scalar", ""),
    ("runbook.malformed_yaml", "\ta: 1", 3, 1, "cannot start any token", ""),
    ("runbook.malformed_yaml", "a: *nowhere", 3, 4, "undefined alias", ""),
    ("runbook.malformed_yaml", "a: !!python/object:os.system x", 3, 4, "tag", ""),
    ("runbook.malformed_yaml", "a: &loop [*loop]", 3, 4, "an anchor holds itself", ""),
    ("runbook.malformed_yaml", "? [a, b]\n: 1", 3, 3, "a key must be a plain text", ""),
    ("runbook.malformed_yaml", "a: 1\n---\nb: 2", 4, 1, "document", ""),
    ("runbook.duplicate_id", "checks:\n  - {id: a, table: x}\n  - {id: a, table: y}", 5, 5, "has the id 'a' too", "id"),
    ("runbook.duplicate_id", "migrations: [{version: 1}, {version: 1}]", 3, 28, "1 is there twice", "Join"),
    ("runbook.duplicate_id", "snapshot: [{name: a, sql: select 1}, {name: a, sql: select 2}]", 3, 38, "a is there", ""),
    (
        "runbook.unknown_check_id",
        "success_criteria: [{text: x, checks: no-orphan}]\nchecks: [{id: no-orphans, table: a}]",
        3,
        38,
        "no check 'no-orphan'",
        "'no-orphans'",
    ),
    (
        "runbook.unknown_version",
        "migrations: [{version: 2025}]\ntroubleshooting: [{issue: x, when: {version: 2026}}]",
        4,
        46,
        "'2026'",
        "'2025'",
    ),
    (
        "runbook.unknown_volume",
        "volumes: {measure: select 1, ranges: {small: <5}}\nexpected: {smal: 1m}",
        4,
        11,
        "smal",
        "'small'",
    ),
    (
        "runbook.unknown_snapshot",
        "snapshot: [{name: all, sql: table t}]\nchecks: [{sql: table x, expect: {that: n == before.al}}]",
        4,
        33,
        "'al'",
        "'all'",
    ),
    (
        "runbook.unknown_snapshot",
        "snapshot: [{name: a, sql: table t, rows: 3}]\nchecks: [{sql: table x, expect: {that: n == before.a}}]",
        4,
        33,
        "'a'",
        "",
    ),
    ("runbook.bad_expression", "checks: [{sql: select 1 as n, expect: {that: n = 1}}]", 3, 39, "write ==", ""),
    ("runbook.bad_expression", "checks: [{sql: select 1 as n, expect: {every: n.real == 1}}]", 3, 39, "a dot may", ""),
    (
        "runbook.bad_sql",
        "checks:\n  - expect: 1\n    sql: |\n      select 1\n      form posts",
        7,
        1,
        'syntax error at or near "posts"',
        "line 2 of the SQL",
    ),
    ("runbook.bad_sql", "checks: [{sql: delete from posts, expect: 1}]", 3, 16, "not a query", ""),
    ("runbook.bad_sql", "checks: [{sql: select 1; select 2, expect: 1}]", 3, 16, "exactly one statement", ""),
    ("runbook.bad_sql", "snapshot: [{name: a, sql: 'select count(*), count(id) from x'}]", 3, 27, "called count", ""),
    (
        "runbook.bad_sql",
        "metrics: [{name: a, help: x, sql: with d as (delete from a returning 1) select * from d}]",
        3,
        35,
        "writing WITH",
        "",
    ),
    ("runbook.bad_sql", "rollback: {partial: {sql: drop tabel x}}", 3, 27, "tabel", ""),
    ("runbook.bad_sql", "checks: [{rls: {setup: commit, sees: select 1}}]", 3, 24, "cannot begin or end", ""),
    ("runbook.bad_sql", "checks: [{sql: 'select :who', expect: 1}]", 3, 16, "needs an entry in params", ""),
    (
        "runbook.unknown_param",
        "checks: [{sql: \"select ':who'\", params: {who: select 1}, expect: 1}]",
        3,
        47,
        "not used",
        "outside quotes",
    ),
    ("runbook.unknown_param", "checks: [{rls: {user: ':who', sees: select 1}}]", 3, 23, "'who'", ""),
]


@pytest.mark.parametrize(("code", "text", "line", "column", "message", "hint"), MISTAKES)
def test_a_mistake_is_told_with_its_place(
    code: str, text: str, line: int, column: int, message: str, hint: str
) -> None:
    error = refused(text)
    assert (error.code, error.where["line"], error.where["column"]) == (code, line, column), error.as_dict()
    assert error.message.startswith(f"deploy.yaml, line {line}, column {column}: ")
    assert message in error.message
    assert hint in error.hint


def test_all_mistakes_are_told_at_once() -> None:
    error = refused("titel: x\nchecks:\n  - {tabel: posts}\n  - {sql: 3, expect: 1, severity: no}")
    assert error.message == "deploy.yaml, line 3, column 1: unknown key 'titel' in the top level"
    assert error.where["problems"] == 3
    others = error.hint.splitlines()[1:]
    assert others[0] == "- line 5, column 6: 'tabel' in checks[0] is no kind of check"
    assert others[1].startswith("- line 6, column 35: checks[1].severity")


def test_a_mistake_is_placed_by_what_its_author_wrote() -> None:
    error = refused("migrations:\n  - {version: 1, expected: soon}")
    assert error.where["field"] == "migrations[0].expected", "kept as {any: …}, which nobody wrote"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- a\n- b\n", "just text", "3"])
def test_what_is_no_runbook(text: str) -> None:
    with pytest.raises(InputError) as caught:
        load_runbook(text, name="deploy.yaml")
    assert caught.value.code in {"runbook.malformed_yaml", "runbook.wrong_type"}


def test_aliases_cannot_blow_up() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 9):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    error = refused(bomb)
    assert (error.code, "with its aliases" in error.message) == ("runbook.malformed_yaml", True)


def test_depth_cannot_exhaust_the_stack() -> None:
    for text in (f"a: {'[' * 100_000}", f"a:\n  {'- ' * 100_000}x", f"a: {'{b: ' * 100_000}"):
        error = refused(text)
        assert (error.code, "nested more than 50 deep" in error.message) == ("runbook.malformed_yaml", True)


def test_no_alias_makes_an_endless_merge() -> None:
    assert refused("a: &a {<<: *a}").code == "runbook.malformed_yaml"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_code(text: str) -> None:
    try:
        load_runbook(text, name="x")
    except InputError as error:
        assert error.code.startswith("runbook.")  # noqa: PT017 - most texts raise, some may not


def failure(**fields: Any) -> Failure:
    return Failure.model_validate({"cause": "statement", "code": "c", "message": "m"} | fields)


def test_hints_for_a_failure_the_most_specific_first() -> None:
    runbook = load(
        "migrations:\n  - {version: 3, if_it_fails: Look at the playlists}\n  - {version: 4}\n"
        "checks: [{id: no-orphans, table: a, hint: Fix the posts}]\n"
        "troubleshooting:\n"
        "  - {issue: Anything broken, when: {cause: [statement, check]}}\n"
        "  - issue: Dangling references\n    cause: Deleted posts\n    solution: Clean up.\n    action: Run it again\n"
        "    when: {version: '3', sqlstate: '23'}\n"
        "  - {issue: Never shown}\n"
        "  - {issue: Orphans, when: {check: no-orphans}}\n"
    )
    found = runbook.hints_for(failure(version="3", sqlstate="23503"))
    assert found == (
        "Dangling references. Cause: Deleted posts. Clean up. Run it again.",
        "Anything broken.",
        "Look at the playlists",
    )
    assert runbook.hints_for(failure(version="4", sqlstate="23503")) == ("Anything broken.",)
    assert runbook.hints_for(failure(cause="check", check="no-orphans"))[0] == "Fix the posts"
    assert "Orphans." in runbook.hints_for(failure(cause="check", check="no-orphans"))
    assert runbook.hints_for(failure(cause="backup")) == ()


def test_versions_that_the_folder_lacks() -> None:
    runbook = load("migrations: [{version: 012}, {version: 013}]")
    [finding] = runbook.findings_for(["012", "014"])
    assert (finding.code, finding.where["field"]) == ("runbook.unknown_version", "migrations.1.version")


def test_volumes_and_durations() -> None:
    runbook = load(
        "volumes: {measure: select 1, ranges: {small: <1000, medium: 1000..10000, large: '>10000'}}\n"
        "migrations:\n  - {version: 1, expected: {small: 1m..2m, large: 90s}}\n  - {version: 2, expected: 1h30m}\n"
    )
    assert runbook.volumes is not None
    assert [runbook.volumes.name_of(count) for count in (0, 999, 1000, 10_000, 10_001)] == [
        "small", "small", "medium", "medium", "large",
    ]  # fmt: skip
    first, second = runbook.migrations
    assert str(first.expected_for("small")) == "1 min to 2 min"
    assert first.expected_for("medium") is None
    assert str(second.expected_for("medium")) == "1 h 30 min"


@given(st.integers(0, 29), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_durations(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    assert parse_duration(f"{days}d{hours}h{minutes}m{seconds}s") == total
    assert duration(total)


@pytest.mark.parametrize("text", ["", "5", "5 parsecs", "m", "-5s", "31d", "1..2", True, None, [5]])
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match=r"duration|between"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["5..1", "a", "<", "..", "1...2", "<>5", True])
def test_no_ranges(text: object) -> None:
    try:
        found = parse_range(text)
    except ValueError:
        return
    assert not isinstance(found, Range)


def test_no_spans() -> None:
    with pytest.raises(ValueError, match="ends before"):
        parse_span("25m..15m")


@given(st.integers(-(2**50), 2**50), st.integers(-(2**50), 2**50))
def test_ranges(low: int, high: int) -> None:
    low, high = sorted((low, high))
    both = parse_range(f"{low}..{high}")
    less = parse_range(f"<{low}")
    assert isinstance(both, Range)
    assert isinstance(less, Range)
    assert both.holds(low)
    assert both.holds(high)
    assert not both.holds(high + 1)
    assert not less.holds(low)


def test_placeholders_are_bound_outside_quotes_only() -> None:
    sql = "select 'é :x 5%', a::x, b[1:x] from t where a = :x and b like '%:x' -- :x"
    assert bind(sql, {"x"}) == "select 'é :x 5%%', a::x, b[1%(x)s] from t where a = %(x)s and b like '%%:x' -- :x"
    assert bind(sql, set()) == sql


@pytest.mark.parametrize(
    ("written", "stored", "same"),
    [
        ("a <> 'x' OR b IS NOT NULL", "(((a)::text <> 'x'::text) OR (b IS NOT NULL))", True),
        ("(select auth.uid()) = user_id", "(( SELECT auth.uid() AS uid) = user_id)", True),
        ("kind in ('a', 'b')", "((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::varchar])::text[]))", True),
        ("kind not in ('a', 'b')", "(kind <> ALL (ARRAY['a'::text, 'b'::text]))", True),
        ("n between 1 and 5", "((n >= 1) AND (n <= 5))", True),
        ("name like 'a%'", "(name ~~ 'a%'::text)", True),
        ("kind in ('a', 'b')", "(kind <> ALL (ARRAY['a'::text, 'b'::text]))", False),
        ("(a or b) and c", "a or (b and c)", False),
        ("a", "'a'", False),
        ("not a valid (", "not a valid (", False),
    ],
)
def test_expressions_as_written_and_as_postgres_stores_them(written: str, stored: str, same: bool) -> None:
    assert same_expression(written, stored) is same


def patterns_in(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(pattern := schema.get("pattern"), str):
            yield pattern
        for value in schema.values():
            yield from patterns_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns_in(value)


def test_every_pattern_has_words() -> None:
    used = {*patterns_in(json_schema()), *patterns_in(Settings.model_json_schema())}
    assert {ID, LABEL} <= used <= set(WORDS)
