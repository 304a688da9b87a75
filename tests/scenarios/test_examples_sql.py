"""The example projects by themselves: their SQL against a real Postgres, their runbooks against their guides."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from agent.core.runbook import Runbook
from agent.edges.embedded import EmbeddedPostgres
from agent.edges.runbook_file import load_runbook_file
from agent.settings import load_settings
from tests.conftest import TEMPLATE, Database
from tests.scenarios import guides
from tests.scenarios.examples import FAULTS, MEDIA, PROJECTS, TRACKS, Fault, Project, apply, version
from tests.support import oracle
from tests.support.aside import run_aside

ROWS = 400

both = pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)


def ask(url: str, sql: str, params: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Run a query; `params` are queries for its `:name` placeholders."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        if not params:
            return connection.execute(sql.encode()).fetchall()
        values = {name: connection.execute(f"select ({text})".encode()).fetchone() for name, text in params.items()}
        bound = re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", sql)
        return connection.execute(
            bound.encode(), {name: next(iter(row.values())) for name, row in values.items() if row}
        ).fetchall()


Prepare = Callable[..., str]


@pytest.fixture
def prepared(server: EmbeddedPostgres) -> Iterator[Prepare]:
    """Makes a fresh database that holds a project as it was, with content, and gives its URL."""
    names = []

    def prepare(project: Project, *, rows: int = ROWS, seed: int = 1) -> str:
        name = f"example_{uuid.uuid4().hex}"
        run_aside(server.create_database(name, template=TEMPLATE))
        names.append(name)
        url = server.url(name)
        apply(url, *project.base)
        project.generate(url, rows, seed=seed)
        return url

    yield prepare
    for name in names:
        run_aside(server.drop_database(name))


# --- the SQL ---


@both
def test_the_guide_s_files_are_there(project: Project) -> None:
    assert all(file.is_file() for file in project.guide)
    assert project.files == project.base + project.guide


@both
def test_applies_one_by_one_and_once_more(project: Project, prepared: Prepare) -> None:
    url = prepared(project)
    apply(url, *project.guide)
    rows = oracle.table_hashes(url)
    schema = oracle.schema_dump(url)

    apply(url, *project.guide)

    assert oracle.table_hashes(url) == rows
    assert oracle.schema_dump(url) == schema


@both
def test_applies_in_one_transaction(project: Project, prepared: Prepare) -> None:
    url = prepared(project)
    with psycopg.connect(url) as connection:
        for file in project.guide:
            connection.execute(file.read_bytes())


@both
def test_applies_without_content(project: Project, database: Database) -> None:
    apply(database.url, *project.files)


def test_tracks_posts_says_how_far_it_is(prepared: Prepare) -> None:
    notices = apply(prepared(TRACKS, rows=1500), *TRACKS.guide)

    assert "Migrated 1000 of 1500 audio posts" in notices
    assert "Migrated 1500 of 1500 audio posts" in notices
    assert "Finalized: tracks and posts are separate" in notices


def test_media_gallery_says_what_the_guide_promises(prepared: Prepare) -> None:
    url = prepared(MEDIA)
    notices = apply(url, *MEDIA.guide)

    assert any(notice.startswith("Processing artifact: ") for notice in notices)
    assert any(notice.startswith("Created new media: ") for notice in notices)
    [counts] = ask(
        url, "select (select count(*) from user_media) as media, (select count(*) from artifact_media) as links"
    )
    assert f"Total user_media records created: {counts['media']}" in notices
    assert f"Total artifact_media records created: {counts['links']}" in notices


def test_tracks_posts_stops_at_audio_posts_without_url(prepared: Prepare) -> None:
    url = prepared(TRACKS)
    with psycopg.connect(url) as connection:
        connection.execute(
            "update posts set audio_url = '  ' where id in (select id from posts where post_type = 'audio' limit 2)"
        )
    apply(url, TRACKS.guide[0])

    with pytest.raises(psycopg.errors.RaiseException, match="2 of 400 audio posts have no track"):
        apply(url, TRACKS.guide[1])


@pytest.mark.parametrize("path", ["complete", "partial"])
def test_media_gallery_rolls_back(path: str, prepared: Prepare) -> None:
    url = prepared(MEDIA)
    schema, rows = oracle.schema_dump(url), oracle.table_hashes(url)
    apply(url, *MEDIA.guide)
    after = oracle.table_hashes(url)
    script = getattr(MEDIA.runbook.rollback, path)

    with psycopg.connect(url) as connection:
        connection.execute(script.sql.encode())

    if path == "complete":
        assert oracle.schema_dump(url) == schema
        assert oracle.table_hashes(url) == rows
    else:
        apply(url, MEDIA.guide[2])  # the backfill can run again
        assert oracle.table_hashes(url).keys() == after.keys()
        assert {name: text.split()[0] for name, text in oracle.table_hashes(url).items()} == {
            name: text.split()[0] for name, text in after.items()
        }


# --- the generators ---


@both
def test_the_same_seed_gives_the_same_rows(project: Project, prepared: Prepare) -> None:
    first, again, other = (oracle.table_hashes(prepared(project, seed=seed)) for seed in (1, 1, 2))
    public = [name for name in first if name.startswith("public.")]
    main = "public.posts" if project is TRACKS else "public.artifacts"

    assert [first[name] for name in public] == [again[name] for name in public]
    assert first[main].split()[0] == other[main].split()[0]
    assert first[main] != other[main]


@both
def test_generates_what_it_is_asked_for(project: Project, prepared: Prepare) -> None:
    url = prepared(project, rows=123)
    content = "posts where post_type = 'audio'" if project is TRACKS else "artifacts"
    assert ask(url, f"select count(*) from {content}") == [{"count": 123}]
    assert ask(url, "select count(*) from profiles") == ask(url, "select count(*) from auth.users")


@both
def test_the_generator_s_command_line(project: Project, database: Database) -> None:
    apply(database.url, *project.base)
    command = [sys.executable, str(project.folder / "generate.py"), "--rows", "50"]
    environment = {**os.environ, "DATABASE_URL": database.url}

    first = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (first.returncode, first.stderr) == (0, "")
    assert "50" in first.stdout
    assert second.returncode == 1
    assert "already" in second.stderr


@both
def test_refuses_too_few_rows(project: Project) -> None:
    with pytest.raises(ValueError, match="at least 10"):
        project.generate("postgresql://unused", 9)


# --- the guides ---


@both
def test_the_guide_s_queries_give_what_it_expects(project: Project, prepared: Prepare) -> None:
    url = prepared(project)
    wrong = []
    for stage in ("", *(version(file) for file in project.guide)):
        apply(url, *(file for file in project.guide if version(file) == stage))
        asked = [query for query in guides.QUERIES[project.name] if query.after == stage]
        wrong += [query.title for query in asked if not query.holds(ask(url, query.sql, query.params))]
    assert wrong == []


def _flat(text: str) -> str:
    """SQL or prose without what does not matter: case, spaces, the last semicolon, the guide's quotes."""
    text = re.sub(r"\s+", " ", text.lower()).strip().rstrip(";").strip()
    return re.sub(r"\s*([(),])\s*", r"\1", text)


@pytest.mark.parametrize(
    ("project", "query"),
    [
        pytest.param(PROJECTS[name], query, id=f"{name}: {query.title}")
        for name, queries in guides.QUERIES.items()
        for query in queries
    ],
)
def test_the_runbook_holds_the_query(project: Project, query: guides.GuideQuery) -> None:
    runbook = project.runbook
    texts = [check.sql or getattr(check.performance, "sql", None) or "" for _, _, check in runbook.all_checks()]
    texts += [entry.sql for entry in (*runbook.snapshot, *runbook.metrics)]
    texts += [monitor.sql for migration in runbook.migrations for monitor in migration.monitors]
    wanted = _flat(query.in_runbook or query.sql)
    assert any(wanted in _flat(text) for text in texts)


def _section(runbook: Runbook, where: str) -> str:
    data: Any = json.loads(runbook.model_dump_json(by_alias=True))
    data["migrations"] = {migration["version"]: migration for migration in data["migrations"]}
    for key in where.split("."):
        data = data[key]
    return _flat(json.dumps(data, ensure_ascii=False).replace("\\n", " ").replace('\\"', '"'))


@pytest.mark.parametrize(
    ("project", "item"),
    [
        pytest.param(PROJECTS[name], item, id=f"{name}: {item.where}: {item.said}")
        for name, items in guides.ITEMS.items()
        for item in items
    ],
)
def test_the_runbook_holds_the_item(project: Project, item: guides.GuideItem) -> None:
    section = _section(project.runbook, item.where)
    assert [words for words in item.words if _flat(words) not in section] == []


@pytest.mark.parametrize(("volume", "minutes"), guides.DURATIONS.items())
def test_the_runbook_holds_the_durations(volume: str, minutes: dict[str, tuple[int, int]]) -> None:
    runbook = TRACKS.runbook
    for of, (low, high) in minutes.items():
        migration = runbook.for_version(of)
        span = migration.expected_for(volume) if migration else runbook.expected[volume]
        assert span is not None
        assert (span.low_s, span.high_s) == (low * 60, high * 60)


@pytest.mark.parametrize(
    ("number", "volume"), [(0, "small"), (999, "small"), (1000, "medium"), (10_000, "medium"), (10_001, "large")]
)
def test_the_runbook_knows_the_guide_s_volumes(number: int, volume: str) -> None:
    assert TRACKS.runbook.volumes is not None
    assert TRACKS.runbook.volumes.name_of(number) == volume


def test_the_runbook_holds_the_time_limits() -> None:
    found = {check.id: check.performance.max_ms for _, _, check in TRACKS.runbook.all_checks() if check.performance}
    assert found == guides.LIMITS


@both
def test_criteria_and_hints_name_checks_that_exist(project: Project) -> None:
    runbook = project.runbook
    known = {check.id for _, _, check in runbook.all_checks()}
    named = {id_ for proof in (*runbook.checklist, *runbook.success_criteria) for id_ in proof.checks}
    named |= {id_ for trouble in runbook.troubleshooting if trouble.when for id_ in trouble.when.check}
    assert named - known == set()


@both
def test_runbook_and_settings_fit_the_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    settings = load_settings(project.folder / "deploy-agent.yaml")

    assert settings.project == project.name
    assert settings.migrations == Path(project.migrations)
    assert load_runbook_file(settings.runbook) == project.runbook
    assert project.runbook.findings_for({version(file) for file in project.files}) == ()
    assert [migration.version for migration in project.runbook.migrations] == [version(file) for file in project.guide]


# --- the faulty variants ---


every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.project.name}: {fault.name}")


def test_all_faults_are_found() -> None:
    names = {(fault.project.name, fault.name) for fault in FAULTS}
    assert {
        ("tracks-posts", "dangling-playlist-reference"),
        ("tracks-posts", "constraint-violation"),
        ("tracks-posts", "lossy-backfill"),
        ("tracks-posts", "missing-index"),
        ("media-gallery", "leaky-policy"),
        ("media-gallery", "backfill-loses-rows"),
        ("media-gallery", "early-cleanup"),
        ("media-gallery", "missing-index"),
    } <= names


@every_fault
def test_a_fault_is_described_and_overlays_what_exists(fault: Fault) -> None:
    says = fault.says
    assert set(says) == {"title", "changes", "failure", "committed", "ends", "hint"}
    assert says["ends"]["atomic"] == "rolled_back"
    versions = [version(file) for file in fault.project.guide]
    assert says["committed"] == versions[: len(says["committed"])]
    others = [
        file for file in fault.folder.rglob("*") if file.is_file() and file.name not in {"fault.yaml", "data.sql"}
    ]
    assert all((fault.project.folder / file.relative_to(fault.folder)).is_file() for file in others)
    assert bool(others) != (fault.folder / "data.sql").is_file()


@every_fault
def test_a_fault_fails_where_it_says(fault: Fault, prepared: Prepare) -> None:
    url = prepared(fault.project)
    fault.spoil(url)
    failure, committed = fault.says["failure"], []
    seen = None
    for file in fault.guide:
        try:
            apply(url, file)
        except psycopg.Error as error:
            seen = (version(file), error.sqlstate)
            break
        committed.append(version(file))

    if failure["cause"] == "statement":
        assert seen == (failure["version"], failure["sqlstate"])
        assert committed == fault.says["committed"]
    else:
        assert seen is None
