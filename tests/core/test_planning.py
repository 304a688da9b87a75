"""Files and history compared, and the strategy that follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.core.migrations import Folder, read_config, read_folder, with_config
from agent.core.models import RunMode, Severity, Strategy
from agent.core.planning import HistoryRow, Plan, build_plan


def folder(files: dict[str, str]) -> Folder:
    return read_folder({name: text.encode() for name, text in files.items()}, label="migrations")


def row(version: str, *statements: str, name: str = "x") -> HistoryRow:
    return HistoryRow(version=version, name=name, statements=statements or None)


def plan(files: dict[str, str] | Folder, *history: HistoryRow, **options: Any) -> Plan:
    settings: dict[str, Any] = {"strategy": Strategy.AUTO, "include_all": False, "until": ""} | options
    found = files if isinstance(files, Folder) else folder(files)
    return build_plan(project="demo", folder=found, history=history, **settings)


def versions(result: Plan) -> list[str]:
    return [script.migration.version for script in result.scripts]


def codes(result: Plan) -> list[str]:
    return [finding.code for finding in result.findings]


THREE = {"1_a.sql": "create table a ();", "2_b.sql": "create table b ();", "3_c.sql": "create table c ();"}


def test_what_the_history_lacks_is_pending_in_order() -> None:
    result = plan(THREE, row("1"))
    assert versions(result) == ["2", "3"]
    assert result.applied == ("1",)
    assert codes(result) == []


@pytest.mark.parametrize(
    "read", [Plan.packed, Plan.model_dump_json, lambda one: one.model_dump_json(exclude_defaults=True)]
)
def test_a_plan_is_read_back_as_it_was_kept(read: Callable[[Plan], str]) -> None:
    strange = {
        "4_d.sql": "-- ü €\ninsert into a values ('x\ny');\n\tdrop table a",
        "5_e.sql": "",
        "6_f.sql": "begin; x; commit;",
    }
    for files in ({}, THREE, THREE | strange):
        made = plan(files, row("1"))
        assert Plan.unpacked(read(made)) == made


def test_nothing_pending() -> None:
    result = plan(THREE, row("1"), row("2"), row("3"))
    assert (versions(result), result.reason, codes(result)) == ([], "nothing is pending", [])


def test_until_is_included_and_the_rest_waits() -> None:
    assert versions(plan(THREE, until="2")) == ["1", "2"]
    assert versions(plan(THREE, row("1"), row("2"), until="2")) == []


@pytest.mark.parametrize(
    ("names", "warned"),
    [(("1", "2", "10"), True), (("01", "02", "10"), False), (("1", "20250101000000"), False), (("9", "10"), True)],
)
def test_numbers_that_are_no_numbers_to_the_cli_are_a_warning(names: tuple[str, ...], warned: bool) -> None:
    result = plan({f"{name}_x.sql": "select 1;" for name in names})
    assert codes(result) == (["plan.text_order"] if warned else [])
    assert not result.errors


def test_until_must_exist() -> None:
    result = plan(THREE, until="25")
    assert codes(result) == ["plan.until_unknown"]
    assert result.errors


def test_order_is_by_string_also_for_until() -> None:
    files = dict.fromkeys(("1_a.sql", "9_b.sql", "10_c.sql"), "select 1")
    assert versions(plan(files)) == ["1", "10", "9"]
    assert versions(plan(files, until="10")) == ["1", "10"]


@pytest.mark.parametrize("include_all", [False, True])
def test_a_version_only_the_database_has_is_an_error(include_all: bool) -> None:
    result = plan(THREE, row("1"), row("15", name="lost"), include_all=include_all)
    finding = result.errors[0]
    assert finding.code == "plan.remote_only"
    assert "15 (lost)" in finding.message


def test_many_remote_versions_are_summed_up() -> None:
    (finding,) = plan({"9_z.sql": "select 1"}, *(row(f"0{number}") for number in range(7))).errors
    assert finding.message.endswith("and 2 more")


def test_an_older_version_is_an_error_unless_all_are_included() -> None:
    result = plan(THREE, row("1"), row("3"))
    (finding,) = result.errors
    assert (finding.code, finding.where["file"]) == ("plan.out_of_order", "2_b.sql")
    allowed = plan(THREE, row("1"), row("3"), include_all=True)
    assert (versions(allowed), codes(allowed)) == (["2"], [])


@pytest.mark.parametrize(
    ("statements", "edited"),
    [
        (("create table a ()",), False),
        (("create  table a ();\n",), False),
        (("create", "table a ()"), False),
        (("create table a (x int)",), True),
        (("create table a ()", "select 1"), True),
    ],
)
def test_a_file_edited_after_it_was_applied_is_a_warning(statements: tuple[str, ...], edited: bool) -> None:
    result = plan(THREE, row("1", *statements))
    assert codes(result) == (["plan.edited_after_apply"] if edited else [])
    assert not result.errors


def test_a_history_without_statements_tells_nothing() -> None:
    assert codes(plan(THREE, row("1"))) == []
    assert codes(plan({"1_a.sql": ""}, HistoryRow(version="1", name="a", statements=()))) == []


def test_duplicates_are_an_error() -> None:
    result = plan({"1_a.sql": "select 1", "1_b.sql": "select 1"})
    assert [one.code for one in result.errors] == ["plan.duplicate_version"]


def test_a_disabled_folder_has_nothing_pending() -> None:
    config = read_config("[db.migrations]\nenabled = false", file="config.toml", environ={})
    result = plan(with_config(folder(THREE), config), row("0"))
    assert (versions(result), codes(result)) == ([], ["plan.migrations_disabled"])


def test_encoding_matters_only_while_the_file_is_pending() -> None:
    found = read_folder({"1_a.sql": b"select '\xe9'"}, label="migrations")
    assert [one.severity for one in plan(found).findings] == [Severity.ERROR]
    assert [one.severity for one in plan(found, row("1")).findings] == [Severity.WARNING]


def test_only_pending_files_are_checked() -> None:
    files = {"1_a.sql": "selec 1", "2_b.sql": "selec 2"}
    (finding,) = plan(files, row("1")).errors
    assert (finding.code, finding.where["file"]) == ("plan.syntax_error", "2_b.sql")


def test_atomic_where_one_transaction_can_hold_all() -> None:
    result = plan(THREE, checks=2)
    assert result.strategy is Strategy.ATOMIC
    assert result.reason == "one transaction can hold 3 files and 2 checks"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 1;\ncommit;", "4_d.sql, line 2 (COMMIT) holds its own BEGIN or COMMIT"),
        (
            "create table d (a int);\n\n-- quick\ncreate index concurrently i on d (a);",
            "4_d.sql, line 4 (CREATE INDEX) must run outside a transaction",
        ),
        ("-- pg-delta: transaction=false\nselect 1", "4_d.sql, line 1 must run outside a transaction"),
        (
            "alter type k add value 'new';\ninsert into a values ('new');",
            "4_d.sql, line 2 may use the enum value 'new', which needs a COMMIT before",
        ),
    ],
)
def test_not_atomic_says_why(text: str, reason: str) -> None:
    result = plan(THREE | {"4_d.sql": text})
    assert result.strategy is Strategy.PER_MIGRATION
    assert result.reason == f"one transaction for all is impossible: {reason}"
    assert not result.errors


def test_a_procedure_of_an_applied_file_that_commits_is_known() -> None:
    procedure = "create procedure fill() language plpgsql as $$ begin update a set x = 1; commit; end $$;"
    result = plan({"1_a.sql": procedure, "2_b.sql": "call fill();"}, row("1"))
    assert result.reason.endswith("2_b.sql, line 1 (CALL) must run outside a transaction")


def test_an_enum_value_may_not_be_used_by_a_later_file_either() -> None:
    files = {"1_a.sql": "alter type k add value 'new';", "2_b.sql": "insert into a values ('new');"}
    assert plan(files).strategy is Strategy.PER_MIGRATION
    assert plan(files, until="1").strategy is Strategy.ATOMIC


def test_atomic_asked_for_but_impossible_is_an_error() -> None:
    result = plan(THREE | {"4_d.sql": "vacuum", "5_e.sql": "vacuum"}, strategy=Strategy.ATOMIC)
    (finding,) = result.errors
    assert finding.code == "plan.atomic_impossible"
    assert finding.message.endswith("(and 1 more)")


def test_per_migration_as_asked() -> None:
    result = plan(THREE, strategy=Strategy.PER_MIGRATION)
    assert (result.strategy, result.scripts[0].mode) == (Strategy.PER_MIGRATION, RunMode.TRANSACTION)


def test_statement_runs_every_file_statement_by_statement() -> None:
    result = plan(THREE | {"4_d.sql": "begin; commit"}, strategy=Strategy.STATEMENT)
    assert result.strategy is Strategy.STATEMENT
    assert [script.mode for script in result.scripts] == [RunMode.NO_TRANSACTION] * 3 + [RunMode.SINGLY]


@pytest.mark.parametrize(
    "change",
    [
        {"files": THREE | {"3_c.sql": "create table c (x int);"}},
        {"files": {name: text for name, text in THREE.items() if name != "3_c.sql"}},
        {"history": (row("1"), row("2"))},
        {"history": (row("1", "create table a ()"),)},
        {"strategy": Strategy.PER_MIGRATION},
        {"until": "2"},
        {"include_all": True},
        {"target_fingerprint": "other"},
    ],
)
def test_the_fingerprint_covers_files_history_options_and_target(change: dict[str, Any]) -> None:
    files, history = change.pop("files", THREE), change.pop("history", (row("1"),))
    before = plan(THREE, row("1")).fingerprint
    assert plan(THREE, row("1")).fingerprint == before
    assert plan(files, *history, **change).fingerprint != before


def test_a_plan_survives_json() -> None:
    before = plan(THREE | {"4_d.sql": "vacuum"}, row("1", "edited"))
    kept = before.model_dump_json(exclude_defaults=True)
    assert Plan.model_validate_json(kept) == before
    assert kept.count("vacuum") == 1, "a file's text is kept once, not again for each statement"
