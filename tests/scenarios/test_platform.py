"""Deploys beside the simulated platform: with a token, with none, with too few permissions, and with the API down."""

from __future__ import annotations

import datetime as dt
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from agent.cli.live import lines
from agent.errors import PlatformError
from tests.simulator import Backup, Platform, simulating
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows, table_hashes

GOOD = {"20260101000000_notes.sql": "create table public.notes (id int primary key);"}
ASKED = 12


@pytest.fixture
def platform(database):
    with simulating(database.server, database.name) as running:
        running.project.backups = [Backup(id=1, made_at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=7))]
        yield running


@pytest.fixture
def deployed(database, tmp_path: Path, platform: Platform):
    """Deploys; the arguments are settings of `platform`."""

    async def run(**chosen) -> Outcome:
        write_migrations(tmp_path, GOOD)
        section = {"base_url": platform.url, "token": platform.token, "ref": platform.ref, **chosen}
        return await deploy(make_settings(database.url, tmp_path, platform=section))

    return run


def findings(outcome: Outcome) -> list[tuple[str, str, str]]:
    """Code, severity and message of each."""
    return [(one.data["code"], one.severity.value, one.message) for one in outcome.of("finding")]


def there(database) -> bool:
    return rows(database.url, "select to_regclass('public.notes') is not null") == [(True,)]


async def test_with_a_token_the_platform_is_asked_and_each_request_is_evidence(deployed, platform, database):
    outcome = await deployed()
    assert outcome.state == "succeeded", outcome.why
    assert there(database)
    assert findings(outcome) == [
        (
            "preflight.platform_backup",
            "info",
            "the platform's last daily backup is 7 h old; point-in-time recovery is off",
        )
    ]
    calls = outcome.of("platform_call")
    assert len(calls) >= ASKED
    assert (200, "") in {(call.data["status"], call.data["code"]) for call in calls}
    assert platform.token not in str(outcome)
    assert not [one.problems for one in platform.calls if one.problems]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"status": "RESTORING"}, "preflight.platform_status", "is RESTORING on the platform"),
        ({"read_only": True}, "preflight.read_only", "the platform has made the database read-only"),
        ({"disk_used": 8 * 2**30 - 1}, "preflight.platform_disk", "the database's disk is 100% full"),
    ],
)
async def test_what_the_platform_forbids_stops_the_deploy(deployed, platform, database, change, code, message):
    for name, value in change.items():
        setattr(platform.project, name, value)
    outcome = await deployed()
    assert (outcome.state, outcome.deploy.failure.code) == ("aborted", code)
    assert message in outcome.why
    assert not there(database)


async def test_an_unhealthy_service_is_told_and_stops_nothing(deployed, platform, database):
    platform.project.unhealthy = {"realtime": "no answer"}
    outcome = await deployed()
    assert outcome.state == "succeeded", outcome.why
    assert ("preflight.service_unhealthy", "warning", "the platform says that realtime is UNHEALTHY: no answer") in (
        findings(outcome)
    )


async def test_where_the_platform_is_required_and_answers_the_deploy_goes_on(deployed, platform, database):
    outcome = await deployed(required=True)
    assert outcome.state == "succeeded", outcome.why
    assert platform.called("v2-list-organization-maintenance-windows")[0].status == 200
    assert "preflight.not_checked" not in {code for code, *_ in findings(outcome)}


async def test_what_is_due_and_what_is_set_for_the_whole_project_is_told(deployed, platform, database):
    now = dt.datetime.now(dt.UTC)
    platform.maintenance = (now - dt.timedelta(hours=1), now + dt.timedelta(hours=1))
    platform.project.upgrade_to = "18.0.1.001"
    psql(database.admin_url, f"alter database {database.name} set session_replication_role = 'replica'")
    outcome = await deployed()
    assert outcome.state == "succeeded", outcome.why
    told = {(code, severity): message for code, severity, message in findings(outcome)}
    assert "a maintenance window of the platform is open" in told["preflight.maintenance", "warning"]
    assert "to supabase-postgres-18.0.1.001" in told["preflight.upgrade_offered", "info"]
    assert "session_replication_role is replica" in told["preflight.triggers_off", "warning"]


async def test_maintenance_windows_that_the_platform_does_not_have_are_told_and_stop_nothing(
    deployed, platform, database
):
    platform.fault("v2-list-organization-maintenance-windows", status=404, message="Cannot GET")
    outcome = await deployed(required=True)
    assert outcome.state == "succeeded", outcome.why
    assert [
        (severity, message) for code, severity, message in findings(outcome) if code == "preflight.not_checked"
    ] == [("info", "not checked: maintenance windows: the platform tells none for this project")]


async def test_without_a_token_the_deploy_works_and_says_what_it_did_not_look_at(deployed, platform, database):
    outcome = await deployed(token=None)
    assert outcome.state == "succeeded", outcome.why
    ((code, severity, message),) = findings(outcome)
    assert (code, severity) == ("preflight.not_checked", "info")
    assert message in " ".join(line.plain for event in outcome.events for line in lines(event))
    assert "for want of a token" in message
    assert platform.ref in message
    assert platform.calls == []


async def test_without_a_token_that_is_required_nothing_is_touched(deployed, database):
    outcome = await deployed(token=None, required=True)
    assert (outcome.state, outcome.deploy.failure.code) == ("aborted", "preflight.not_checked")
    assert not there(database)


async def test_with_too_few_permissions_each_thing_that_is_not_known_is_named(deployed, platform, database):
    token = platform.scoped_token({"project_admin_read"})
    outcome = await deployed(token=token)
    assert outcome.state == "succeeded", outcome.why
    told = [message for code, _, message in findings(outcome) if code == "preflight.not_checked"]
    assert (
        "not checked: the platform's own backups: the token lacks backups_read, needed for the platform's backups"
        in told
    )
    assert any("database_network_bans_read" in one for one in told)
    assert not any("status on the platform" in one for one in told)
    assert token not in str(outcome)

    outcome = await deployed(token=token, required=True)
    assert outcome.state == "succeeded", "nothing is pending any more, so nothing is asked"


async def test_permissions_that_are_required_stop_the_deploy(deployed, platform, database):
    outcome = await deployed(token=platform.scoped_token({"project_admin_read"}), required=True)
    assert (outcome.state, outcome.deploy.failure.code) == ("aborted", "preflight.not_checked")
    assert not there(database)


async def test_a_token_that_was_revoked_is_told(deployed, platform, database):
    platform.revoke(platform.token)
    outcome = await deployed()
    assert outcome.state == "succeeded", outcome.why
    told = [message for code, _, message in findings(outcome) if code == "preflight.not_checked"]
    assert len(told) == 1
    assert told[0].count(";") == ASKED - 1
    assert "HTTP 401" in told[0]


@pytest.mark.parametrize("required", [False, True])
async def test_with_the_api_down_the_deploy_works_unless_the_platform_is_required(deployed, database, required):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = await deployed(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}", deadline_s=1, required=required)
    told = [(severity, message) for code, severity, message in findings(outcome) if code == "preflight.not_checked"]
    ((severity, message),) = told
    assert severity == ("error" if required else "warning")
    assert message.count(";") == ASKED - 1
    assert outcome.state == ("aborted" if required else "succeeded")
    assert there(database) is not required
    assert {call.data["status"] for call in outcome.of("platform_call")} == {None}


@pytest.mark.parametrize("status", [429, 500, 544])
async def test_passing_trouble_of_the_api_is_waited_out(deployed, platform, database, status):
    platform.fault("v1-list-all-backups", status=status, headers={"retry-after": "0"}, times=1)
    outcome = await deployed()
    assert outcome.state == "succeeded", outcome.why
    assert [code for code, *_ in findings(outcome)] == ["preflight.platform_backup"]
    assert [call.status for call in platform.called("v1-list-all-backups")] == [status, 200]


async def test_an_answer_that_is_cut_off_is_asked_for_again(deployed, platform, database):
    platform.fault("v1-get-project", cut="after", times=1)
    outcome = await deployed()
    assert outcome.state == "succeeded", outcome.why
    assert "preflight.not_checked" not in {code for code, *_ in findings(outcome)}


async def test_without_a_url_the_session_pooler_and_a_role_are_all_it_takes(platform, database, tmp_path):
    write_migrations(tmp_path, GOOD)
    settings = as_role(database, tmp_path, platform).model_copy(update={"database_url": None})
    outcome = await deploy(settings)
    assert outcome.state == "succeeded", outcome.why
    assert there(database)


DAMAGE = {
    **GOOD,
    "20260102000000_damage.sql": "drop table public.kept;",
    "20260103000000_fail.sql": "select 1/0;",
}


def as_role(database, tmp_path: Path, platform: Platform):
    """Settings with a URL that names no password, and a role that the platform gives."""
    parts = urlsplit(database.url)
    url = f"postgresql://postgres@{parts.hostname}:{parts.port}{parts.path}?sslmode=disable"
    section = {"base_url": platform.url, "token": platform.token, "ref": platform.ref, "login_role": True}
    return make_settings(url, tmp_path, platform=section)


async def test_a_deploy_as_a_temporary_role_is_one_of_postgres(platform, database, tmp_path):
    write_migrations(tmp_path, GOOD)
    outcome = await deploy(as_role(database, tmp_path, platform))
    assert outcome.state == "succeeded", outcome.why
    owner = "select relowner::regrole::text from pg_class where oid = 'public.notes'::regclass"
    assert rows(database.url, owner) == [("postgres",)]
    assert platform.called("v1-create-login-role")


@pytest.mark.parametrize("targeted", [True, False])
async def test_what_a_temporary_role_damaged_it_restores(platform, database, tmp_path, targeted):
    psql(database.url, "create table public.kept (id int primary key); insert into public.kept values (1), (2);")
    before = table_hashes(database.admin_url)
    write_migrations(tmp_path, DAMAGE)
    settings = as_role(database, tmp_path, platform)
    settings = settings.model_copy(update={"deploy": settings.deploy.model_copy(update={"targeted_restore": targeted})})
    outcome = await deploy(settings, "per_migration")
    assert outcome.state == "restored", outcome.why
    assert table_hashes(database.admin_url) == before
    assert not there(database)


async def test_without_the_permission_for_a_role_there_is_one_clear_error(platform, database, tmp_path):
    write_migrations(tmp_path, GOOD)
    settings = as_role(database, tmp_path, platform)
    section = settings.platform.model_copy(update={"token": SecretStr(platform.scoped_token({"project_admin_read"}))})
    with pytest.raises(PlatformError) as raised:
        await deploy(settings.model_copy(update={"platform": section}))
    assert raised.value.missing_permissions == ("database_write",)
