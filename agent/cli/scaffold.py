"""What `init` writes: settings and a first runbook that fit the folder they are written into."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.migrations import FILE_NAME
from agent.core.runbook_io import json_schema
from agent.core.units import count
from agent.errors import InputError

_PLACES = ("supabase/migrations", "migrations", "db/migrations", "scripts", "sql")
_MOST = 3  # migrations that the first runbook names


@dataclass
class Scaffold:
    """What was done, and what to say about it."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    migrations: int = 0


def scaffold(config: Path | None) -> Scaffold:
    """Write the settings, the runbook and its schema into the working directory, where they are missing.

    Args:
        config: the settings file's name; None: `deploy-agent.yaml`.

    Raises:
        InputError: `input.cannot_write`.
    """
    made = Scaffold()
    folder = next((Path(place) for place in _PLACES if _files(Path(place))), Path(_PLACES[0]))
    files = _files(folder)
    made.migrations = len(files)
    by_version = {name.partition("_")[0]: name for name in files}  # two of one version are the plan's finding
    project = _project()
    runbook = folder.parent / "deploy.yaml" if folder.parent != Path() else Path("supabase/deploy.yaml")
    schema = runbook.with_name("deploy.schema.json")
    _write(made, config or Path("deploy-agent.yaml"), _settings(project, folder, runbook))
    _write(made, runbook, _runbook(project, schema.name, list(by_version.values())))
    _write(made, schema, json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n")
    found = f"{count(len(files), 'migration')} in {folder}." if files else f"There is no migration in {folder} yet."
    set_url = "set DEPLOY_AGENT_DATABASE_URL to the direct connection or the session pooler (port 5432), then run"
    known = {"DEPLOY_AGENT_DATABASE_URL", "DEPLOY_AGENT_DATABASE_URL_FILE"} & set(os.environ)
    made.remarks = [
        found,
        "Next: run" if known else f"Next: {set_url}",
        "  deploy-agent doctor   is everything there that a deploy needs?",
        "  deploy-agent plan     what would a deploy do?",
    ]
    return made


def _files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(
        (each.name for each in folder.iterdir() if FILE_NAME.fullmatch(each.name)), key=lambda n: n.partition("_")[0]
    )


def _project() -> str:
    """The project's name: `project_id` of supabase/config.toml, else the folder's name."""
    try:
        name = str(tomllib.loads(Path("supabase/config.toml").read_text(encoding="utf-8")).get("project_id", ""))
    except (OSError, ValueError):
        name = ""
    return re.sub(r"[^a-z0-9._-]+", "-", (name or Path.cwd().name).lower()).strip("-._")[:63] or "my-project"


def _write(made: Scaffold, path: Path, text: str) -> None:
    if path.exists():
        made.kept.append(str(path))
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}",
            code="input.cannot_write",
            hint="Run init in a folder that you may write to.",
            where={"file": str(path)},
        ) from error
    else:
        made.written.append(str(path))


def _settings(project: str, folder: Path, runbook: Path) -> str:
    return f"""\
# Settings of deploy-agent; all of them, with their defaults, are in config/agent.example.yaml of its repository.
# The environment wins over this file: DEPLOY_AGENT_DATABASE_URL, DEPLOY_AGENT_HTTP__PORT, …
project: {project}
migrations: {folder.as_posix()}
runbook: {runbook.as_posix()}

# Set DEPLOY_AGENT_DATABASE_URL, or name a file that holds the URL (port 5432; the pooler on 6543 is refused):
#database_url_file: /run/secrets/database_url

# Where backups go. Default: .deploy-agent/backups
#backup:
#  target: s3://my-bucket/deploy-agent

# Who is told how a deploy ended.
#notify:
#  - name: on-call
#    kind: slack
#    url: env(SLACK_WEBHOOK_URL)
"""


def _runbook(project: str, schema: str, files: list[str]) -> str:
    entries = ""
    for name in files[-_MOST:]:
        match = FILE_NAME.fullmatch(name)
        if match:
            entries += f'  - version: "{match[1]}"\n    summary: {json.dumps(match[2].replace("_", " "))}\n'
    migrations = f"migrations:\n{entries}" if entries else "#migrations:\n"
    return f"""\
# yaml-language-server: $schema={schema}
# The runbook: what must hold before, during and after a deploy. Everything but version and title is optional.
version: 1
title: Deploys of {project}

# Values that are recorded before and compared after.
#snapshot:
#  - name: users
#    sql: select count(*) as users from auth.users

# What is known of each migration: how long it takes, what must hold after it, how it is undone.
{migrations}\
#    expected: 1m..2m
#    checks:
#      - id: column-there
#        column: {{table: public.posts, name: track_id}}
#    if_it_fails: Look for rows without an author.

# These must pass before a deploy counts as done; with strategy atomic, before COMMIT.
#checks:
#  - id: no-orphans
#    title: Every post has an author
#    sql: select id from public.posts where author_id is null
#    expect: {{empty: true}}
#    hint: See the query's rows; they were there before, or the migration made them.
"""  # noqa: S608 - YAML with an example of SQL in it
