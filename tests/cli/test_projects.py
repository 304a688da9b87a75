"""init and the runbook commands, on real files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent.core.runbook_io import load_runbook
from agent.settings import load_settings
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]


def test_init_fits_the_project_and_is_valid(cli: Cli, workplace: Path):
    folder = workplace / "supabase" / "migrations"
    folder.mkdir(parents=True)
    for name in ("20250101000000_a.sql", "20250102000000_b_c.sql", "notes.txt"):
        (folder / name).touch()
    (workplace / "supabase" / "config.toml").write_text('project_id = "My Shop"\n')
    result = cli.run("init", "--json")
    made = json.loads(result.stdout)
    assert made == {
        "written": ["deploy-agent.yaml", "supabase/deploy.yaml", "supabase/deploy.schema.json"],
        "kept": [],
        "migrations": 2,
    }
    runbook = load_runbook((workplace / "supabase/deploy.yaml").read_text(), name="deploy.yaml")
    assert [(each.version, each.summary) for each in runbook.migrations] == [
        ("20250101000000", "a"),
        ("20250102000000", "b c"),
    ]
    assert (
        (workplace / "supabase/deploy.yaml")
        .read_text()
        .startswith("# yaml-language-server: $schema=deploy.schema.json")
    )


def test_what_init_wrote_is_accepted(cli: Cli, workplace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DEPLOY_AGENT_PROJECT")
    (workplace / "scripts").mkdir()
    (workplace / "scripts" / "012_media.sql").touch()
    (workplace / "scripts" / "012_media_again.sql").touch()  # refused by the plan, but no reason for a bad runbook
    shown = cli.run("init").stdout
    assert "DEPLOY_AGENT_DATABASE_URL" not in shown, "it is set"
    settings = load_settings()
    assert settings.migrations == Path("scripts")
    assert settings.runbook == Path("supabase/deploy.yaml")
    assert "2 migrations in scripts" in shown
    assert cli.run("runbook", "check").exit_code == 0


def test_init_overwrites_nothing(cli: Cli, workplace: Path):
    (workplace / "deploy-agent.yaml").write_text("project: mine\n")
    result = cli.run("init")
    assert (workplace / "deploy-agent.yaml").read_text() == "project: mine\n"
    assert "kept   deploy-agent.yaml (it was there already)" in result.stdout
    again = cli.run("init", "--json")
    assert json.loads(again.stdout)["written"] == []


def test_the_examples_in_the_first_runbook_work_when_uncommented(cli: Cli, workplace: Path):
    (workplace / "migrations").mkdir()
    (workplace / "migrations" / "1_a.sql").touch()
    cli.run("init")
    text = Path("supabase/deploy.yaml").read_text()
    head, rest = text.split("version: 1\n")
    uncommented = re.sub(r"(?m)^#(?=[a-z]+:|  )", "", rest)
    runbook = load_runbook(f"version: 1\n{uncommented}\n", name="deploy.yaml")
    assert [check.id for check in runbook.checks] == ["no-orphans"]
    assert runbook.snapshot[0].name == "users"
    assert runbook.migrations[0].checks[0].id == "column-there"
    assert head.startswith("# yaml-language-server")


def test_init_names_the_connection_that_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DEPLOY_AGENT_DATABASE_URL")
    assert "Next: set DEPLOY_AGENT_DATABASE_URL to the direct connection" in cli.run("init").stdout


def test_init_where_nothing_can_be_written(cli: Cli, workplace: Path):
    (workplace / "supabase").touch()
    result = cli.run("init")
    assert result.exit_code == 3
    assert "input.cannot_write" in result.stderr


@pytest.mark.parametrize("example", ["tracks-posts", "media-gallery"])
def test_the_examples_runbooks_can_be_checked_and_shown(cli: Cli, example: str):
    file = str(ROOT / "examples" / example / "supabase" / "deploy.yaml")
    assert "is valid" in cli.run("runbook", "check", file).stdout
    shown = cli.run("runbook", "show", file).stdout
    assert "migration" in shown
    assert json.loads(cli.run("runbook", "show", file, "--json").stdout)["version"] == 1


def test_a_wrong_runbook_is_one_error_with_its_place(cli: Cli, workplace: Path):
    (workplace / "deploy.yaml").write_text("version: 1\ntitle: x\nchcks: []\n")
    result = cli.run("runbook", "check", "deploy.yaml")
    assert result.exit_code == 3
    assert "runbook.unknown_key" in result.stderr
    assert "deploy.yaml:3:1" in result.stderr


def test_a_missing_runbook(cli: Cli):
    assert cli.run("runbook", "check").exit_code == 12


def test_the_schema_is_the_published_one(cli: Cli):
    published = ROOT / "config" / "runbook.schema.json"
    assert json.loads(cli.run("runbook", "schema").stdout) == json.loads(published.read_text(encoding="utf-8"))
