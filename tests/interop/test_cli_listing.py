"""Folder and plan against the real CLI: which files count, in which order, and what is pending."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from agent.core.models import Strategy
from agent.core.planning import HistoryRow, Plan, build_plan
from agent.edges.folder import load_folder
from tests.conftest import Database
from tests.interop.peer import Answer, Cli

HISTORY = """
    CREATE SCHEMA IF NOT EXISTS supabase_migrations;
    CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A folder, a history, and the error that both tools must report, without and with --include-all.

    `listed`: also compare with `migration list`, save for these versions, which it leaves out.
    """

    files: tuple[str, ...]
    applied: tuple[str, ...] = ()
    error: str = ""
    error_with_all: str = ""
    config: str = ""
    folders: tuple[str, ...] = ()
    listed: bool = False
    unlisted: tuple[str, ...] = ()


CLI_ERRORS = {"plan.remote_only": "DbPushMissingLocalError", "plan.out_of_order": "DbPushMissingRemoteError"}

SCENES = {
    "nothing applied": Scene(files=("1_a.sql", "2_b.sql")),
    "some applied": Scene(files=("1_a.sql", "2_b.sql", "3_c.sql"), applied=("1", "2")),
    "all applied": Scene(files=("1_a.sql", "2_b.sql"), applied=("1", "2")),
    "no folder entries": Scene(files=("README.md",)),
    "versions as strings": Scene(
        files=("1_a.sql", "5_b.sql", "9_c.sql", "10_d.sql", "20260101000000_e.sql"), applied=("1", "10"), listed=True
    ),
    "zeros before": Scene(files=("012_a.sql", "12_b.sql", "0012_c.sql"), applied=("0012",)),
    "odd names": Scene(
        files=("1_.sql", "2_a b.sql", "3_ü.sql", "4_a.b.sql", "5_a.SQL", "x6_a.sql", "7.sql", "8-a.sql", "9_a.sql.bak"),
        applied=("1",),
        listed=True,
    ),
    "a huge version": Scene(  # `migration list` leaves out what is no 64-bit number; `db push` applies it
        files=("1_a.sql", "99999999999999999999_b.sql"), listed=True, unlisted=("99999999999999999999",)
    ),
    "a folder that looks like a file": Scene(files=("1_a.sql",), folders=("2_b.sql",)),
    "an old init first": Scene(files=("20211208235959_init.sql", "20220101000000_a.sql")),
    "a newer init first": Scene(files=("20211209000000_init.sql", "20220101000000_a.sql")),
    "an old init second": Scene(files=("1_a.sql", "20200101000000_init.sql")),
    "an old init behind a hidden file": Scene(files=(".keep", "20200101000000_init.sql")),
    "out of order": Scene(
        files=("1_a.sql", "2_b.sql", "3_c.sql", "4_d.sql"), applied=("1", "3"), error="plan.out_of_order"
    ),
    "all older": Scene(files=("1_a.sql", "2_b.sql", "3_c.sql"), applied=("3",), error="plan.out_of_order"),
    "remote only, newest": Scene(
        files=("1_a.sql",), applied=("1", "2"), error="plan.remote_only", error_with_all="plan.remote_only"
    ),
    "remote only, between": Scene(
        files=("1_a.sql", "3_c.sql", "4_d.sql"),
        applied=("1", "2", "3"),
        error="plan.remote_only",
        error_with_all="plan.remote_only",
    ),
    "remote only and out of order": Scene(
        files=("1_a.sql", "2_b.sql", "4_d.sql"),
        applied=("1", "3"),
        error="plan.remote_only",
        error_with_all="plan.remote_only",
    ),
    "disabled": Scene(files=("1_a.sql",), config="[db.migrations]\nenabled = false\n"),
}


def our_plan(cli: Cli, scene: Scene, *, include_all: bool) -> Plan:
    return build_plan(
        project="demo",
        folder=load_folder(cli.migrations, environ={}),
        history=[HistoryRow(version=version, name="") for version in scene.applied],
        strategy=Strategy.AUTO,
        include_all=include_all,
        until="",
    )


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_both_see_the_same(scene: Scene, supabase_cli: Path, database: Database, tmp_path: Path) -> None:
    cli = Cli(binary=supabase_cli, url=database.url, project=tmp_path)
    cli.write(dict.fromkeys(scene.files, "select 1;"), config=scene.config)
    for folder in scene.folders:
        (cli.migrations / folder).mkdir()
    with psycopg.connect(database.url) as connection:
        connection.execute(HISTORY)
        for version in scene.applied:
            connection.execute("INSERT INTO supabase_migrations.schema_migrations (version) VALUES (%s)", [version])

    ours = load_folder(cli.migrations, environ={})
    if scene.listed:
        rows = cli.run("migration", "list").data["migrations"]
        assert [row["local"] for row in rows if row["local"]] == [
            one.version for one in ours.migrations if one.version not in scene.unlisted
        ]
    pushed = compare_push(cli, scene, error=scene.error, include_all=False)
    assert skipped(pushed.notes) == {str(one.where["file"]) for one in ours.findings if one.code == "plan.file_skipped"}
    if scene.error:
        compare_push(cli, scene, error=scene.error_with_all, include_all=True)


def compare_push(cli: Cli, scene: Scene, *, error: str, include_all: bool) -> Answer:
    pushed = cli.run("db", "push", "--dry-run", *(["--include-all"] if include_all else []))
    plan = our_plan(cli, scene, include_all=include_all)
    errors = {one.code for one in plan.errors} & CLI_ERRORS.keys()
    if error:
        assert error in errors
        assert pushed.data["error"]["code"] == CLI_ERRORS[error]
    else:
        assert not errors
        assert pushed.data["migrations"] == [script.migration.file for script in plan.scripts]
    return pushed


def skipped(notes: str) -> set[str]:
    lines = (line for line in notes.splitlines() if line.startswith("Skipping migration "))
    return {line.split("...")[0].removeprefix("Skipping migration ") for line in lines}


def test_two_files_of_one_version_fail_halfway_with_the_cli_and_are_refused_here(
    supabase_cli: Path, database: Database, tmp_path: Path
) -> None:
    cli = Cli(binary=supabase_cli, url=database.url, project=tmp_path)
    cli.write({"1_a.sql": "create table a ();", "1_b.sql": "create table b ();"})
    plan = our_plan(cli, Scene(files=()), include_all=False)
    assert [one.code for one in plan.errors] == ["plan.duplicate_version"]
    assert cli.run("db", "push", "--dry-run").data["migrations"] == ["1_a.sql", "1_b.sql"]
    assert "duplicate key" in cli.run("db", "push").data["error"]["message"]


def test_the_statements_that_a_push_stores_are_no_edit(supabase_cli: Path, database: Database, tmp_path: Path) -> None:
    cli = Cli(binary=supabase_cli, url=database.url, project=tmp_path)
    text = "-- a\ncreate table a ();\r\ncreate function f() returns int begin atomic select 1; select 2; end;\n-- end"
    cli.write({"1_a.sql": text, "2_b.sql": ""})
    assert cli.run("db", "push").code == 0
    with psycopg.connect(database.url) as connection:
        rows = connection.execute("SELECT version, name, statements FROM supabase_migrations.schema_migrations")
        history = [HistoryRow(version=row[0], name=row[1], statements=tuple(row[2])) for row in rows.fetchall()]

    def codes() -> list[str]:
        folder = load_folder(cli.migrations, environ={})
        plan = build_plan(
            project="demo", folder=folder, history=history, strategy=Strategy.AUTO, include_all=False, until=""
        )
        assert plan.scripts == ()
        return [one.code for one in plan.findings]

    assert codes() == []
    cli.write({"1_a.sql": text.replace("select 2", "select 3"), "2_b.sql": ""})
    assert codes() == ["plan.edited_after_apply"]
