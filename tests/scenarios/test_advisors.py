"""Deploys whose runbook asks Supabase's advisors, against the simulated platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.simulator import Platform, simulating
from tests.support.advisors import body, finding
from tests.support.deploying import deploy, make_settings, write_migrations
from tests.support.hosted import answers, deployed, runbook
from tests.support.oracle import psql, rows

V2 = "v2-run-project-advisors"
SECURITY, PERFORMANCE = "v1-get-security-advisors", "v1-get-performance-advisors"
OLD = finding("rls_disabled_in_public", "notes")
NEW = finding("rls_disabled_in_public", "tags")
FILES = {"20260101000000_tags.sql": "create table public.tags (id int primary key);"}


@pytest.fixture
def project(database: Database, tmp_path: Path) -> tuple[Database, Path]:
    psql(database.url, "create table public.notes (id int primary key); insert into public.notes values (1);")
    write_migrations(tmp_path, FILES)
    return database, tmp_path


@pytest.fixture
def platform(project: tuple[Database, Path]) -> Iterator[Platform]:
    database, _ = project
    with simulating(database.server, database.name) as running:
        yield running


def tables(database: Database) -> list[str]:
    return [
        row[0] for row in rows(database.url, "select tablename from pg_tables where schemaname = 'public' order by 1")
    ]


@pytest.mark.parametrize("strategy", ["atomic", "per_migration"])
async def test_a_finding_that_the_deploy_brought_undoes_it(
    project: tuple[Database, Path], platform: Platform, strategy: str
) -> None:
    runbook(
        project[1],
        "advisors: {}\ntroubleshooting:\n  - {issue: Open table, solution: Enable RLS, when: {check: advisors}}",
    )
    answers(platform, V2, body(OLD, version=2), body(OLD, NEW, version=2))

    outcome = await deployed(project[0].url, project[1], platform, strategy)

    assert outcome.state == "restored"
    assert tables(project[0]) == ["notes"]
    failure = outcome.deploy.failure
    assert failure is not None
    assert (failure.code, failure.check) == ("check.failed", "advisors")
    assert "ERROR rls_disabled_in_public: about tags" in failure.message
    assert failure.runbook_hints == ("Open table. Enable RLS.",)
    (told,) = [one for one in outcome.of("finding") if one.data["code"] == "advisors.new_finding"]
    assert (told.severity, told.data["where"]["cache_key"]) == ("error", "rls_disabled_in_public_public_tags")
    assert any("only after COMMIT" in one.message for one in outcome.of("log")) is (strategy == "atomic")


async def test_what_was_there_before_and_what_is_below_the_level_are_no_reason(
    project: tuple[Database, Path], platform: Platform
) -> None:
    runbook(project[1], "advisors: {types: security}")
    below = finding("function_search_path_mutable", "touch", "WARN")
    answers(platform, V2, body(OLD, version=2), body(OLD, below, version=2))

    outcome = await deployed(project[0].url, project[1], platform)

    assert outcome.state == "succeeded"
    (told,) = [one for one in outcome.of("finding") if one.data["code"] == "advisors.new_finding"]
    assert (told.severity, told.message) == ("warning", "WARN function_search_path_mutable: about touch")
    (check,) = outcome.of("check")
    assert (check.data["id"], check.data["verdict"]) == ("advisors", "passed")
    assert check.data["observed"] == "1 new finding, below that level or allowed; 1 finding before"
    asked = platform.called(V2)[0].body["data"]["attributes"]["lints"]
    assert {"name": "rls_disabled_in_public"} in asked
    assert {"name": "no_primary_key"} not in asked


async def test_where_the_v2_route_is_missing_the_old_ones_are_asked(
    project: tuple[Database, Path], platform: Platform
) -> None:
    runbook(project[1], "advisors: {}")
    platform.fault(V2, status=404, times=None)
    answers(platform, SECURITY, body(OLD), body(OLD, NEW))
    answers(platform, PERFORMANCE, body(), body())

    outcome = await deployed(project[0].url, project[1], platform)

    assert outcome.state == "restored"
    assert len(platform.called(V2)) == 1, "the answers must be of one route, to be compared"
    assert tables(project[0]) == ["notes"]


@pytest.mark.parametrize(("policy", "state"), [("warn", "succeeded"), ("fail", "aborted")])
@pytest.mark.parametrize("access", ["no token", "advisors_read"])
async def test_advisors_that_cannot_be_asked_are_not_checked_and_never_passed(
    project: tuple[Database, Path], platform: Platform, access: str, policy: str, state: str
) -> None:
    database, folder = project
    runbook(folder, f"advisors: {{if_not_checked: {policy}}}")
    if access == "no token":
        outcome = await deploy(make_settings(database.url, folder))
    else:  # one that lacks that permission
        outcome = await deployed(
            project[0].url, project[1], platform, token=platform.scoped_token(["project_admin_read"])
        )

    assert outcome.state == state
    (told,) = [one for one in outcome.of("finding") if one.data["code"] == "advisors.not_checked"]
    assert access in told.message
    if state == "aborted":
        assert (outcome.of("check"), tables(database)) == ([], ["notes"])
    else:
        (check,) = outcome.of("check")
        assert check.data["verdict"] == "errored"
        assert check.data["observed"].startswith("not checked: ")
        assert tables(database) == ["notes", "tags"]


@pytest.mark.parametrize(
    ("extra", "state"), [("", "restored"), ("alter table public.tags enable row level security;", "succeeded")]
)
async def test_the_platforms_own_advisors_look_at_the_real_catalog(
    project: tuple[Database, Path], platform: Platform, extra: str, state: str
) -> None:
    """`notes` has no row level security either, and had none before."""
    write_migrations(project[1], {name: text + extra for name, text in FILES.items()})
    runbook(project[1], "advisors: {types: security}")
    outcome = await deployed(project[0].url, project[1], platform)
    assert outcome.state == state
    if state == "restored":
        assert "rls_disabled_in_public" in outcome.why
        assert "tags" in outcome.why


@pytest.mark.parametrize(("policy", "state"), [("warn", "succeeded"), ("fail", "restored")])
async def test_advisors_that_are_gone_after_the_deploy(
    project: tuple[Database, Path], platform: Platform, policy: str, state: str
) -> None:
    runbook(project[1], f"advisors: {{if_not_checked: {policy}}}")
    answers(platform, V2, body(version=2))
    platform.fault(V2, status=403, missing_permissions=["advisors_read"], times=None)

    outcome = await deployed(project[0].url, project[1], platform)

    assert outcome.state == state
    (check,) = outcome.of("check")
    assert check.data["verdict"] == "errored"
    assert "advisors_read" in check.data["observed"]
