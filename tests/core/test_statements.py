"""What is said about a file's SQL before it runs."""

from __future__ import annotations

import pytest

from agent.core.migrations import Migration
from agent.core.models import Finding, RunMode, Severity
from agent.core.scripts import Script, analyse, unsafe_enum_use
from agent.core.statements import Fact, describe
from agent.core.syntax import PARSER_MAJOR, syntax_problem


def script(text: str, version: str = "1", **options: int) -> Script:
    migration = Migration(version=version, name="x", file=f"{version}_x.sql", text=text, sha256="")
    return analyse(migration, **options)


def codes(text: str, **options: int) -> list[str]:
    return [finding.code for finding in script(text, **options).findings]


def only(text: str) -> Finding:
    (finding,) = script(text).findings
    return finding


@pytest.mark.parametrize(
    ("sql", "tag"),
    [
        ("create table t ()", "CREATE TABLE"),
        ("CREATE UNLOGGED TABLE t ()", "CREATE TABLE"),
        ("create or replace function f() returns int language sql return 1", "CREATE FUNCTION"),
        ("create unique index i on t (a)", "CREATE INDEX"),
        ("create constraint trigger t after insert on t", "CREATE TRIGGER"),
        ("alter default privileges in schema a grant all on tables to b", "ALTER DEFAULT PRIVILEGES"),
        ("drop materialized view v", "DROP MATERIALIZED VIEW"),
        ("create user u", "CREATE ROLE"),
        ("-- why\n/* how */ insert into t values (1)", "INSERT"),
        ("with a as (delete from t returning *), b as (select 1) insert into u select * from a", "INSERT"),
        ("with a as (select 1) select * from a", "SELECT"),
        ("(select 1)", "SELECT"),
        ("table t", "SELECT"),
        ("truncate t", "TRUNCATE TABLE"),
        ("end", "COMMIT"),
        ("abort", "ROLLBACK"),
        ("comment on table t is 'x'", "COMMENT"),
        ("do $$ begin end $$", "DO"),
        ("-- nothing", ""),
    ],
)
def test_tag(sql: str, tag: str) -> None:
    assert describe(sql).tag == tag


@pytest.mark.parametrize(
    ("sql", "control"),
    [
        ("begin", "begin"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", "begin"),
        ("-- c\nstart  transaction", "begin"),
        ("commit work", "commit"),
        ("end", "commit"),
        ("prepare transaction 'x'", "commit"),
        ("abort", "rollback"),
        ("rollback work", "rollback"),
        ("rollback and chain", "rollback"),
        ("rollback to a", ""),
        ("ROLLBACK TRANSACTION TO SAVEPOINT a", ""),
        ("savepoint a", ""),
        ("release a", ""),
        ("prepare q as select 1", ""),
        ("do $$ begin end $$", ""),
        ("comment on table t is 'commit'", ""),
    ],
)
def test_transaction_control(sql: str, control: str) -> None:
    assert describe(sql).control == control


@pytest.mark.parametrize(
    "sql",
    [
        "create index concurrently i on t (a)",
        "CREATE UNIQUE INDEX\n CONCURRENTLY i ON t (a)",
        "create /* quietly */ index concurrently i on t (a)",
        "drop index concurrently if exists i",
        "reindex (verbose) table concurrently t",
        "reindex database d",
        "vacuum",
        "vacuum(full) t",
        "alter system set work_mem = '1GB'",
        "cluster t using i",
        "create database d",
        "drop tablespace s",
        "create subscription s connection '' publication p",
        "alter table t detach partition p concurrently",
        "discard all",
        "do $$ begin insert into t values (1); commit; end $$",
    ],
)
def test_runs_alone(sql: str) -> None:
    assert describe(sql).runs_alone
    assert script(sql).mode is RunMode.NO_TRANSACTION


@pytest.mark.parametrize(
    "sql",
    [
        "create index i on t (a)",
        "drop index i",
        "reindex table t",
        "create table concurrently (a int)",
        "comment on index i is 'built concurrently'",
        "insert into t values ('vacuum')",
        "alter table t detach partition p",
        "do $$ begin create temp table x (a int) on commit drop; end $$",
        "do $$ begin perform 'x'; -- then commit;\n end $$",
        "alter database d set work_mem = '1GB'",
    ],
)
def test_runs_in_a_transaction(sql: str) -> None:
    assert not describe(sql).runs_alone
    assert script(sql).mode is RunMode.TRANSACTION


def test_a_call_of_a_procedure_that_commits_runs_alone() -> None:
    body = "create or replace procedure app.Fill() language plpgsql as $$ begin {} end $$;\n"
    fill = body.format("update t set a = 1; commit;")
    assert script(fill + "call app.fill();").mode is RunMode.NO_TRANSACTION
    assert script(fill).mode is RunMode.TRANSACTION
    assert script(body.format("update t set a = 1;") + "call app.fill();").mode is RunMode.TRANSACTION
    assert describe("call fill()", frozenset({"fill"})).runs_alone
    assert not describe("call other()", frozenset({"fill"})).runs_alone


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("create table t ();", RunMode.TRANSACTION),
        ("", RunMode.TRANSACTION),
        ("-- pg-delta: transaction=false\ncreate table t ();", RunMode.NO_TRANSACTION),
        ("-- pg-delta: transaction=false\r\nbegin; commit;", RunMode.NO_TRANSACTION),
        ("-- pg-delta: transaction=false", RunMode.NO_TRANSACTION),
        ("\n-- pg-delta: transaction=false\ncreate table t ();", RunMode.TRANSACTION),
        ("-- pg-delta: transaction=false \ncreate table t ();", RunMode.TRANSACTION),
        ("alter type a add value 'b'; commit; select 1;", RunMode.SINGLY),
        ("begin; create index concurrently i on t (a); commit;", RunMode.SINGLY),
        ("create table t (); savepoint a; rollback to a;", RunMode.TRANSACTION),
    ],
)
def test_run_mode(text: str, mode: RunMode) -> None:
    assert script(text).mode is mode


def test_enum_facts() -> None:
    fact = describe("""alter type public."My Kind" add value if not exists 'it''s' before 'x'""")
    assert fact.adds_enum_values == (("My Kind", "it's"),)
    asks = "IF NOT EXISTS (SELECT FROM pg_enum WHERE enumlabel = 'a') THEN ALTER TYPE kind ADD VALUE 'a'; END IF;"
    block = f"DO $$ BEGIN {asks} ALTER TYPE public.kind ADD VALUE IF NOT EXISTS 'b'; END $$"
    assert describe(block).adds_enum_values == (("kind", "a"), ("kind", "b"))
    assert describe("create type public.Kind as enum ('a')").creates_enum == "kind"
    assert describe("alter type kind rename value 'a' to 'b'").adds_enum_values == ()


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (["alter type k add value 'b'", "\ninsert into t values ('b')"], 2),
        (["alter type k add value 'b'; select 'b'::k"], 1),
        (["do $$ begin alter type k add value 'b'; end $$", "select 'b'::k"], 1),
        (["alter type k add value 'b'", "insert into t select old::public.k from legacy"], 1),
        (["alter type k add value 'b'", "select enum_range(null::k)"], 1),
        (["alter type k add value 'b'", "alter type k add value 'c' after 'b'"], None),
        (["alter type k add value 'b'", "insert into t values ('a')"], None),
        (["alter type k add value 'b'", "alter table t add x k default 'a'::k"], None),
        (["alter type k add value 'b'; commit; select 'b'::k"], None),
        (["create type k as enum ('a'); alter type k add value 'b'", "select 'b'::k"], None),
    ],
)
def test_enum_value_used_in_the_transaction_that_adds_it(files: list[str], line: int | None) -> None:
    use = unsafe_enum_use([script(text) for text in files])
    assert (use.line if use else None) == line


def test_enum_value_used_in_one_file_is_a_warning() -> None:
    finding = only("alter type k add value 'b';\nselect 'b'::k;")
    assert (finding.code, finding.severity, finding.where["line"]) == ("plan.enum_value_used", Severity.WARNING, 2)


@pytest.mark.parametrize(
    ("sql", "destructive"),
    [
        ("drop table t", True),
        ("drop schema s cascade", True),
        ("drop index i", False),
        ("truncate t", True),
        ("delete from t", True),
        ("delete from t where true", False),
        ("delete from t -- where", True),
        ("delete from t where a = 'x'", False),
        ("alter table t drop column a", True),
        ("alter table t drop a", True),
        ("alter table t add b int, drop if exists a", True),
        ("alter table t drop constraint c", False),
        ("alter table t alter a drop not null, alter b drop default", False),
        ("alter table t add a text default 'drop it'", False),
    ],
)
def test_destructive(sql: str, destructive: bool) -> None:
    assert describe(sql).destructive is destructive
    assert ("plan.destructive" in codes(sql)) is destructive


@pytest.mark.parametrize(
    ("sql", "sets"),
    [
        ("set search_path = ''", True),
        ("set role x", True),
        ("set session authorization x", True),
        ("select pg_catalog.set_config('search_path', '', false)", True),
        ("set local role x", False),
        ("set constraints all deferred", False),
        ("alter role x set search_path = ''", False),
    ],
)
def test_sets_session(sql: str, sets: bool) -> None:
    assert describe(sql).sets_session is sets


def test_syntax_error_is_placed_in_the_file() -> None:
    finding = only("create table t (a int);\n-- é\n/* ü */ create table u (a int,\n  ö  b int c);\n")
    assert finding.code == "plan.syntax_error"
    assert finding.severity is Severity.ERROR
    assert finding.message == '1_x.sql, line 4: syntax error at or near "int"'
    assert finding.where == {"file": "1_x.sql", "version": "1", "line": 4, "column": 8, "statement": 2}


def test_each_statement_is_checked() -> None:
    assert codes("selec 1; select 1; selec 2") == ["plan.syntax_error", "plan.syntax_error"]


def test_syntax_error_at_the_end() -> None:
    finding = only("select 1;\n\nselect (1")
    assert (finding.where["line"], finding.where["column"]) == (3, 10)


@pytest.mark.parametrize(
    "text",
    [
        "alter role x password 'hunter2",
        "alter role x password 'a' E'hunter2'",
        "alter role x password 'a' $$hunter2$$",
        "alter role x password $$hunter2",
        "alter role x password \"hunter2\"; select 'hunter2' from",
    ],
)
def test_a_string_is_never_shown(text: str) -> None:
    findings = script("select 1;\n" + text).findings
    assert findings
    assert "hunter2'" not in str(findings)
    assert "$hunter2" not in str(findings)


def test_a_message_does_not_hold_the_rest_of_the_file() -> None:
    finding = only('select "' + "x" * 1000)
    assert len(finding.message) < 150


def test_psql_commands_get_a_hint() -> None:
    assert "psql" in only("\\restrict abc").hint


def test_a_newer_server_may_know_more_than_the_parser() -> None:
    (finding,) = script("create newthing x", server_major=PARSER_MAJOR + 1).findings
    assert finding.severity is Severity.WARNING
    assert str(PARSER_MAJOR) in finding.hint


def test_a_limit_of_the_parser_is_no_syntax_error() -> None:
    finding = only("select " + "(" * 20_000 + "1" + ")" * 20_000)
    assert (finding.code, finding.severity) == ("plan.syntax_unchecked", Severity.WARNING)


def test_the_parser_is_of_the_release_it_claims() -> None:
    from postgast import parse  # noqa: PLC0415 - the package itself is slow to import, and nothing else needs it

    assert parse("select 1").version // 10_000 == PARSER_MAJOR


def test_syntax_problem_counts_characters() -> None:
    problem = syntax_problem("select '日本語😀' form !")
    assert problem is not None
    assert problem.offset == len("select '日本語😀' form ")


def test_nul_characters_are_refused() -> None:
    finding = only("select 1;\n\0select 2")
    assert (finding.code, finding.severity) == ("plan.nul_character", Severity.ERROR)
    assert "line 2" in finding.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("begin; create table t ();", 1),
        ("select 1;\nbegin;\nselect 2;\nbegin;", 2),
        ("begin; commit and chain; select 1", 1),
        ("-- pg-delta: transaction=false\nstart transaction;\nselect 1;", 2),
        ("begin; savepoint a; rollback to a;", 1),
    ],
)
def test_begin_without_end_is_refused(text: str, line: int) -> None:
    finding = only(text)
    assert (finding.code, finding.severity) == ("plan.begin_without_end", Severity.ERROR)
    assert finding.where["line"] == line


@pytest.mark.parametrize(
    "text",
    [
        "begin; select 1; commit;",
        "begin; select 1; rollback;",
        "begin; select 1; end; begin; abort",
        "alter type k add value 'b'; commit; select 1;",
        "commit; begin; select 1; commit and no chain;",
        "begin; prepare transaction 'x'",
    ],
)
def test_ended_transactions_are_legal(text: str) -> None:
    assert codes(text) == []


def test_what_refuses_a_transaction_is_found_inside_one() -> None:
    finding = only("select 1;\nbegin;\nselect 2;\nvacuum t;\ncommit;\nvacuum t;")
    assert (finding.code, finding.where["line"]) == ("plan.runs_alone_in_transaction", 4)
    assert "line 2" in finding.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("copy t from stdin", ["plan.copy_stdin"]),
        ("copy (select 1)\nto stdout with csv", ["plan.copy_stdin"]),
        ("copy t from '/file'", []),
        ("", ["plan.no_statements"]),
        ("-- only words", []),
    ],
)
def test_remarks(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


def test_a_script_survives_json() -> None:
    before = script("begin; drop table t; commit; -- é")
    after = Script.model_validate_json(before.model_dump_json())
    assert after == before
    assert isinstance(after.facts[0], Fact)
