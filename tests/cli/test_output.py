"""What the commands print for people, against golden files, and as JSON for machines."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from agent.cli.live import LiveFollower, PlainFollower, lines
from agent.cli.render.deploy import running
from agent.core.models import Deploy, EventKind, Finding, Severity, Verdict
from agent.core.planning import HistoryRow
from agent.errors import InputError, TargetError
from agent.report.models import DeployView
from agent.report.view import deploy_view
from tests.cli.conftest import Cli
from tests.cli.scripted import FILES, ScriptedAgent, a_check, a_plan
from tests.support import stories
from tests.support.stories import Storyteller

Golden = Callable[[str, str], None]
EXITS = {"succeeded": 0, "restored": 9, "check_failed": 8, "needs_operator": 10, "aborted": 6}


@pytest.mark.parametrize("name", sorted(EXITS))
def test_deploy(cli: Cli, golden: Golden, name: str):
    cli.agent = ScriptedAgent(story=stories.ALL[name]())
    result = cli.run("deploy")
    golden(f"deploy-{name}", result.stdout)
    assert result.exit_code == EXITS[name]
    assert result.stderr == ""


@pytest.mark.parametrize("name", sorted(EXITS))
def test_show(cli: Cli, golden: Golden, name: str):
    cli.agent = ScriptedAgent(story=stories.ALL[name]())
    result = cli.run("show", "--checks")
    golden(f"show-{name}", result.stdout)
    assert result.exit_code == 0


def test_deploy_as_json_lines(cli: Cli):
    cli.agent = ScriptedAgent(story=stories.restored())
    result = cli.run("deploy", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["event"] * len(cli.agent.story.events) + ["deploy"]
    assert [line["seq"] for line in lines[:-1]] == list(range(1, len(lines)))
    last = {key: value for key, value in lines[-1].items() if key != "type"}
    assert DeployView.model_validate(last) == deploy_view(cli.agent.story.deploy(), cli.agent.story.events)
    assert result.exit_code == 9


def test_plan(cli: Cli, golden: Golden):
    result = cli.run("plan")
    golden("plan", result.stdout)
    assert result.exit_code == 0


def test_plan_that_is_refused(cli: Cli, golden: Golden):
    cli.agent.plan_found = a_plan(history=(HistoryRow(version="20260101000000", name="unknown"),))
    result = cli.run("plan")
    golden("plan-refused", result.stdout)
    assert result.exit_code == 6


def test_plan_with_nothing_to_do(cli: Cli):
    name, text = next(iter(FILES.items()))
    cli.agent.plan_found = a_plan(files={name: text}, history=(HistoryRow(version=name[:14], name="add_track_types"),))
    result = cli.run("plan", "--json")
    document = json.loads(result.stdout)
    assert document["migrations"] == []
    assert document["can_run"] is True


def test_plan_options_reach_the_agent(cli: Cli):
    cli.run("plan", "--strategy", "atomic", "--until", "2", "--include-all")
    (_, request) = cli.agent.asked[0]
    assert (request.strategy, request.until, request.include_all, request.project) == (
        "atomic",
        "2",
        True,
        "tracks-posts",
    )


def test_the_settings_strategy_is_the_default(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEPLOY_AGENT_DEPLOY__STRATEGY", "per_migration")
    cli.run("deploy", "--plan", "abc")
    (_, request) = cli.agent.asked[0]
    assert (request.strategy, request.plan_fingerprint) == ("per_migration", "abc")


def test_status(cli: Cli, golden: Golden):
    cli.agent = ScriptedAgent(story=stories.restored())
    golden("status", cli.run("status").stdout)


def test_status_while_a_deploy_runs(cli: Cli, golden: Golden):
    cli.agent = ScriptedAgent(story=stories.running())
    golden("status-running", cli.run("status").stdout)


def test_status_without_the_database_shows_the_rest(cli: Cli):
    cli.agent.plan_error = TargetError("db.example.com:5432: connection refused", code="target.unreachable")
    result = cli.run("status")
    assert "connection refused (target.unreachable)" in result.stdout
    assert "last backup" in result.stdout
    assert result.exit_code == 4


def test_status_with_a_wrong_runbook_shows_the_rest(cli: Cli):
    cli.agent.plan_error = InputError("deploy.yaml, line 9: unknown key 'summery'", code="runbook.unknown_key")
    result = cli.run("status")
    assert "unknown key 'summery' (runbook.unknown_key)" in result.stdout
    assert "last deploy" in result.stdout
    assert result.exit_code == 3


def test_how_long_a_running_deploy_takes_is_not_known_yet(cli: Cli):
    cli.agent = ScriptedAgent(story=stories.running())
    [row] = json.loads(cli.run("history", "--json").stdout)["deploys"]
    assert row["finished_at"] is None
    assert not re.search(r"\d (ms|s|min)\b", cli.run("history").stdout)


def test_history(cli: Cli, golden: Golden):
    golden("history", cli.run("history").stdout)


def test_doctor(cli: Cli, golden: Golden):
    cli.agent.findings = [
        Finding(code="doctor.store", severity=Severity.INFO, message="the agent's store answers"),
        Finding(
            code="preflight.long_transaction",
            severity=Severity.WARNING,
            message="pid 17 has a transaction open for 3 h",
            hint="End it before you deploy.",
        ),
        Finding(
            code="tool.not_found",
            severity=Severity.ERROR,
            message="there is no pg_dump",
            hint="Install postgresql-client-17, or set tools_dir.",
            where={"setting": "tools_dir"},
        ),
    ]
    result = cli.run("doctor")
    golden("doctor", result.stdout)
    assert result.exit_code == 6


def test_doctor_shows_wrong_settings_as_a_finding(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEPLOY_AGENT_HTTP__PORT", "many")
    result = cli.run("doctor", "--json")
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["findings"][0]["code"] == "settings.invalid"
    assert result.exit_code == 6


def test_verify(cli: Cli, golden: Golden):
    cli.agent.checks = [a_check("no_orphans", Verdict.PASSED), a_check("tracks_counted", Verdict.FAILED)]
    result = cli.run("verify")
    golden("verify", result.stdout)
    assert result.exit_code == 17


def test_verify_does_not_fail_for_a_warning(cli: Cli):
    cli.agent.checks = [a_check("slow", Verdict.FAILED, Severity.WARNING)]
    assert cli.run("verify").exit_code == 0


def test_verify_without_checks_does_not_boast(cli: Cli):
    cli.agent.checks = []
    assert cli.run("verify").stdout == "The runbook has no final checks, so nothing was checked.\n"


def test_backup_list(cli: Cli, golden: Golden):
    golden("backup-list", cli.run("backup", "list").stdout)


def test_backup_show(cli: Cli, golden: Golden):
    golden("backup-show", cli.run("backup", "show", "20260301").stdout)


def test_backup_create_verify_and_prune(cli: Cli):
    assert "is published (9.8 MB)" in cli.run("backup", "create").stdout
    assert "scratch database" in cli.run("backup", "verify", "20260301", "--restore").stdout
    assert "Would remove 1 backup." in cli.run("backup", "prune", "--dry-run").stdout
    assert cli.agent.asked == [("verify_backup", "20260301", True), ("prune", True)]


def test_restore_needs_a_yes(cli: Cli):
    refused = cli.run("restore", "20260301")
    assert refused.exit_code == 3
    assert "input.not_confirmed" in refused.stderr
    assert cli.agent.asked == []
    done = cli.run("restore", "20260301", "--yes")
    assert cli.agent.asked == [("restore", "20260301T020003Z-tracks-posts")]
    assert "To undo this: deploy-agent restore 20260228T020000Z-tracks-posts" in done.stdout


def test_restore_into_another_database(cli: Cli, golden: Golden, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    url, backup = "postgresql://postgres:s3cr3t-word@other.example/postgres", "20260301T020003Z-tracks-posts"
    monkeypatch.setenv("OTHER_URL", url)
    (tmp_path / "url").write_text(f"{url}\n")
    done = cli.run("restore", "20260301", "--to", "env(OTHER_URL)", "--jobs", "4")
    golden("restore-to", done.stdout)
    assert "restore: 1 of 2 bytes" in done.stderr
    assert cli.run("restore", "20260301", "--to-file", str(tmp_path / "url"), "--overwrite").exit_code == 3
    assert cli.run("restore", "20260301", "--to", url, "--overwrite", "--yes", "--json").exit_code == 0
    assert cli.agent.asked == [("restore_to", backup, url, False, 4), ("restore_to", backup, url, True, None)]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--overwrite"], "input.no_other_database"),
        (["--jobs", "2"], "input.no_other_database"),
        (["--to", "env(NOT_THERE)"], "settings.env_unset"),
        (["--to-file", "not-there"], "settings.secret_file"),
        (["--to", "postgresql://postgres:s3cr3t-word@h/x", "--to-file", "x"], "settings.secret_twice"),
        (["--to", "postgresql://postgres:s3cr3t/word@h/x"], "settings.database_url"),
        (["--to", "mysql://postgres:s3cr3t-word@h/x"], "settings.database_url"),
        (["--to", "postgresql://postgres:s3cr3t-word@h:6543/x"], "target.transaction_pooler"),
    ],
)
def test_a_wrong_other_database(cli: Cli, arguments: list[str], code: str):
    refused = cli.run("restore", "20260301", "--yes", *arguments)
    assert refused.exit_code in {3, 4}
    assert code in refused.stderr
    assert "s3cr3t" not in refused.stdout + refused.stderr
    assert cli.agent.asked == []


def test_events(cli: Cli):
    result = cli.run("events", "01JQ", "--json", "--after", "3")
    assert next(json.loads(line)["seq"] for line in result.stdout.splitlines()) == 4


def test_events_for_people_have_no_empty_lines(cli: Cli):
    cli.agent = ScriptedAgent(story=stories.restored())
    shown = cli.run("events").stdout.splitlines()
    assert shown
    assert all(shown)


def test_a_check_that_could_not_run_says_why():
    story = Storyteller().until_migrate()
    story.check("private", verdict=Verdict.ERRORED, observed="relation is gone")
    [line] = lines(story.events[-1])
    assert line.plain.endswith("✗ check private could not run: relation is gone")


def test_following_an_ended_deploy_ends_with_its_exit_code(cli: Cli):
    cli.agent = ScriptedAgent(story=stories.check_failed())
    result = cli.run("events", "--follow")
    assert result.exit_code == 8
    assert "Rolled back: check tracks_counted did not pass" in result.stdout


def test_cancel(cli: Cli):
    cli.agent = ScriptedAgent(story=stories.running())
    result = cli.run("cancel", "01JQ", "--reason", "wrong night")
    assert cli.agent.asked == [("cancel", "01JQ", "wrong night")]
    assert "deploy-agent events 01JQ7DEPLOY --follow" in result.stdout


def test_approve_shows_what_is_asked(cli: Cli, golden: Golden):
    cli.agent = ScriptedAgent(story=stories.waiting())
    result = cli.run("approve", "01JQ", "--yes", "--remark", "spoke to the team")
    golden("approve", result.stdout)
    assert cli.agent.asked == [("approve", "01JQ7DEPLOY", 1, True, "spoke to the team")]
    assert result.exit_code == 0


def test_approve_as_json_is_the_deploy(cli: Cli):
    cli.agent = ScriptedAgent(story=stories.waiting())
    result = cli.run("approve", "01JQ", "--yes", "--reject", "--json")
    assert cli.agent.asked == [("approve", "01JQ7DEPLOY", 1, False, "")]
    assert Deploy.model_validate_json(result.stdout) == cli.agent.story.deploy()


def test_approve_goes_on_with_the_deploy_where_nobody_else_does(cli: Cli, golden: Golden):
    cli.agent = ScriptedAgent(story=stories.waiting(), answered=stories.approved())
    result = cli.run("approve", "01JQ", "--yes")
    golden("approve-here", result.stdout)
    assert result.exit_code == 9


def test_nothing_is_approved_without_a_yes(cli: Cli):
    cli.agent = ScriptedAgent(story=stories.waiting())
    result = cli.run("approve", "01JQ")
    assert result.exit_code == 3
    assert "input.not_confirmed" in result.stderr
    assert cli.agent.asked == []


def test_there_is_nothing_to_approve(cli: Cli):
    cli.agent = ScriptedAgent(story=stories.running())
    result = cli.run("approve", "01JQ", "--yes")
    assert result.exit_code == 12
    assert "notfound.approval" in result.stderr
    assert cli.agent.asked == []


@pytest.mark.parametrize("name", ["waiting", "approved", "rejected"])
def test_show_an_approval(cli: Cli, golden: Golden, name: str):
    cli.agent = ScriptedAgent(story=stories.ALL[name]())
    golden(f"show-{name}", cli.run("show").stdout)


@pytest.mark.parametrize("command", ["history", "status"])
def test_who_waits_for_approval_is_seen_at_once(cli: Cli, command: str):
    cli.agent = ScriptedAgent(story=stories.waiting())
    assert "restoring, waiting for approval" in cli.run(command).stdout


def test_wait(cli: Cli):
    cli.agent.plan_found = a_plan(files={}, history=(HistoryRow(version="7", name="x"),))
    assert json.loads(cli.run("wait", "7", "--json").stdout) == {"version": "7", "applied": True}
    assert "at most 300 s" in cli.run("wait", "7").stderr
    late = cli.run("wait", "8", "--timeout", "0")
    assert late.exit_code == 14
    assert "wait.timeout" in late.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("plan",),
        ("status",),
        ("history",),
        ("show",),
        ("doctor",),
        ("verify",),
        ("cancel", "01JQ"),
        ("backup", "create"),
        ("backup", "list"),
        ("backup", "show", "20260301"),
        ("backup", "verify", "20260301"),
        ("backup", "prune"),
        ("restore", "20260301", "--yes"),
        ("runbook", "schema"),
        ("init",),
    ],
)
def test_json_is_one_document_and_nothing_else(cli: Cli, args: tuple[str, ...]):
    result = cli.run(*args, "--json")
    assert isinstance(json.loads(result.stdout), dict)
    assert result.stderr == ""


def test_the_live_picture(golden: Golden):
    for name in ("running", "succeeded", "restored", "waiting"):
        story = stories.ALL[name]()
        golden(f"live-{name}", picture(deploy_view(story.deploy(), story.events), elapsed_s=31, phase_s=17))


def test_the_live_picture_of_many_migrations_shows_those_around_the_running_one(golden: Golden):
    story = Storyteller().until_migrate()
    story.versions = tuple(f"2025012200{index:04}" for index in range(1, 1001))
    for index, version in enumerate(story.versions[:500], start=1):
        story.tell(
            EventKind.MIGRATION_STARTED, "", version=version, name="x", index=index, total=1000, statements=2, mode="t"
        )
        if index < 500:
            story.tell(
                EventKind.MIGRATION_FINISHED, "", version=version, name="x", index=index, total=1000, seconds=0.1
            )
    golden("live-many", picture(deploy_view(story.deploy(), story.events), elapsed_s=60, phase_s=50))


def test_the_live_picture_names_who_holds_the_lock(golden: Golden):
    story = Storyteller().until_migrate().begin("20250122000000")
    blockers = [
        {"pid": 7, "user": "app", "application": "web", "query": "SELECT *\n FROM posts", "seconds": 31.0},
        {"pid": 8, "user": "", "application": "", "query": "", "seconds": None},
    ]
    story.tell(EventKind.LOCK_WAIT, "waits", version="20250122000000", attempt=2, blockers=blockers)
    golden("live-lock", picture(deploy_view(story.deploy(), story.events), elapsed_s=12, phase_s=3))


def test_monitors_without_a_total_show_their_values(golden: Golden):
    story = Storyteller().until_migrate().begin("20250122000002")
    told = {"version": "20250122000002", "done": None, "total": None, "eta_s": None}
    story.tell(EventKind.MONITOR, "Tracks: 4300", name="Tracks", values={"count": 4300}, **told)
    story.tell(EventKind.MONITOR, "Both: …", name="Both", values={"tracks": 4300, "share": 0.43, "at": "x"}, **told)
    golden("live-monitors", picture(deploy_view(story.deploy(), story.events), elapsed_s=12, phase_s=3))
    file = io.StringIO()
    follower = PlainFollower(Console(file=file, width=120))
    follower.begin(story.deploy())
    for event in story.events:
        follower.event(event)
    assert "· Tracks: 4300" in file.getvalue()


def picture(view: DeployView, *, elapsed_s: float, phase_s: float) -> str:
    console = Console(
        file=io.StringIO(), width=110, force_terminal=True, color_system=None, legacy_windows=False, _environ={}
    )
    with console.capture() as capture:
        console.print(running(view, elapsed_s=elapsed_s, phase_s=phase_s))
    return capture.get()


def test_the_live_follower_keeps_what_happened_above_the_picture():
    file = io.StringIO()
    console = Console(file=file, width=110, force_terminal=True, color_system=None, legacy_windows=False)
    story = stories.restored()
    story.tell(EventKind.NOTICE, "moved 7 rows", level="NOTICE", version="20250122000002")
    story.tell(EventKind.NOTICE, "no rows left", level="WARNING", version="20250122000002")
    follower = LiveFollower(console, clock=lambda: stories.START.timestamp() + 5)
    follower.begin(story.deploy().model_copy(update={"state": "queued", "finished_at": None}))
    for event in story.events:
        follower.event(event)
    follower.say("Cancelling")
    view = follower.end(story.deploy())
    shown = file.getvalue()
    assert "NOTICE: moved 7 rows" in shown
    assert "WARNING: no rows left" in shown
    assert "3 sessions have been idle" in shown
    assert "Cancelling" in shown
    assert "violates foreign key" in shown
    assert view == deploy_view(story.deploy(), story.events)


def test_what_the_server_says_is_dimmed_unless_it_warns():
    for level, style in (("NOTICE", "dim"), ("WARNING", "yellow")):
        [line] = lines(Storyteller().tell(EventKind.NOTICE, "x does not exist, skipping", level=level).events[-1])
        assert line.spans[-1].style == style


def test_plain_progress_is_not_a_flood():
    """10,000 readings within a minute give some lines, the first and the last tenth among them."""
    file = io.StringIO()
    follower = PlainFollower(Console(file=file, width=120))
    story = Storyteller().until_migrate().begin("20250122000002")
    for done in range(10_001):
        story.tell(
            EventKind.MONITOR, "m", version="20250122000002", name="rows", values={}, done=done, total=10_000
        ).wait(0.006)
    follower.begin(story.deploy())
    for event in story.events:
        follower.event(event)
    progress = [line for line in file.getvalue().splitlines() if "rows" in line and "%" in line]
    assert 5 <= len(progress) <= 20
    assert "rows 0 %" in progress[0]
    assert "rows 100 % (10,000 of 10,000" in progress[-1]


def test_the_recorder_forgets_readings_but_not_the_rate():
    story = stories.running()
    file = io.StringIO()
    follower = PlainFollower(Console(file=file, width=120))
    follower.begin(story.deploy())
    for event in story.events:
        follower.event(event)
    assert follower.end(story.deploy()).progress == deploy_view(story.deploy(), story.events).progress
