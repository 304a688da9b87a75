"""The DeployView: what it says of deploys that succeed, fail, come back, wait, and run."""

from __future__ import annotations

import random

import pytest

from agent.core.models import EventKind, Failure, RunMode, Severity, Strategy, Verdict
from agent.core.states import Move, State
from agent.core.units import duration
from agent.report import words
from agent.report.models import DeployView, Level, Status
from agent.report.view import deploy_view
from tests.support import stories
from tests.support.stories import START, Storyteller


def view(story: Storyteller) -> DeployView:
    return deploy_view(story.deploy(), story.events)


def test_success_names_what_was_applied_and_what_was_kept():
    shown = view(stories.succeeded())
    assert shown.headline == "Deployed 4 migrations to tracks-posts in 18 s; 3 checks passed"
    assert "in one transaction" in shown.paragraph
    assert "backup 20260301T020003Z-tracks-posts (9.8 MB)" in shown.paragraph
    assert shown.next_commands == ()
    assert shown.level is Level.GOOD
    assert {row.status for row in shown.migrations} == {Status.DONE}


def test_restored_tells_cause_place_undoing_proof_and_hint_in_one_paragraph():
    shown = view(stories.restored())
    assert shown.paragraph == (
        "Migration 20250122000003_update_playlists failed at line 41 of 20250122000003_update_playlists.sql, "
        "statement 4 of 9: `ALTER TABLE playlist_tracks ADD CONSTRAINT playlist_tracks_track_id_fkey FOREIGN KEY "
        '(track_id) REFERENCES tracks`. The server said: insert or update on "playlist_tracks" violates foreign key '
        'constraint "playlist_tracks_track_id_fkey" (SQLSTATE 23503). Detail: Key '
        '(track_id)=(00000000-0000-0000-0000-0000000000aa) is not present in table "tracks". By then '
        "20250122000000_add_track_types and 20250122000002_migrate_audio_posts had been committed. The open "
        "transaction was rolled back; 2 differences from the snapshot remained: table public.tracks is new and column "
        "playlists.track_id is new. The backup 20260301T020003Z-tracks-posts was restored in place; compared with the "
        "snapshot taken before (12 tables, 120,400 rows), schema and contents are identical. The runbook says: Find "
        "the dangling rows with the query in section 5 and delete them first."
    )
    assert [row.status for row in shown.migrations] == [Status.UNDONE, Status.UNDONE, Status.FAILED, Status.SKIPPED]
    assert [phase.state for phase in shown.phases][-2:] == [State.ROLLING_BACK, State.RESTORING]


def test_a_failed_check_is_explained_by_expected_and_observed():
    shown = view(stories.check_failed())
    assert shown.headline == ("Rolled back: check tracks_counted did not pass; tracks-posts is as it was before")
    assert "expected after.tracks >= before.audio_posts (10000), observed 9400." in shown.paragraph
    assert shown.paragraph.endswith("Hint: Look for audio posts without an author.")
    assert "been committed" not in shown.paragraph, "in one transaction nothing had been"
    assert shown.tally.failed == 1
    assert shown.tally.passed == 1


def test_a_check_that_could_not_run_is_never_called_failed_or_passed():
    story = Storyteller().until_migrate()
    story.check("advisors", verdict=Verdict.ERRORED, observed="relation does not exist")
    story.failure = Failure(cause="check", code="check.errored", message="check advisors errored", check="advisors")
    story.move(Move.FAIL)
    shown = view(story)
    assert (
        "could not run after the last migration, which counts as a failure: relation does not exist." in shown.paragraph
    )
    assert shown.tally.errored == 1


def test_needs_operator_names_the_difference_and_the_exact_commands():
    shown = view(stories.needs_operator())
    assert shown.level is Level.ERROR
    assert "1 difference from the snapshot remained: policy storage.objects:owner_reads differs" in shown.paragraph
    commands = [each.command for each in shown.next_commands]
    assert "deploy-agent restore 20260301T020003Z-tracks-posts" in commands
    assert commands[0] == "deploy-agent show 01JQ7DEPLOY"
    assert "as it was before" in shown.headline
    assert "could not be proven" in shown.headline


def test_aborted_says_that_nothing_was_changed():
    shown = view(stories.aborted())
    assert "Nothing in the database was changed." in shown.paragraph
    assert shown.paragraph.count("Hint:") == 1
    assert [phase.status for phase in shown.phases] == [Status.FAILED] + [Status.SKIPPED] * 4


def test_a_running_deploy_has_progress_and_an_eta_from_its_rate():
    shown = view(stories.running())
    assert shown.progress is not None
    assert shown.progress.percent == pytest.approx(43.0)
    assert shown.progress.eta_s == pytest.approx(5700 / 430.0)
    assert shown.headline == (
        "Applying the migrations: 2 of 4, 20250122000002_migrate_audio_posts, 43 %, about 13 s left"
    )
    assert [each.command for each in shown.next_commands] == [
        "deploy-agent events 01JQ7DEPLOY --follow",
        "deploy-agent cancel 01JQ7DEPLOY",
    ]
    assert shown.phases[-1].status is Status.WAITING


def test_the_monitors_own_eta_wins_over_the_rate():
    story = Storyteller().until_migrate().begin("20250122000002")
    story.tell(EventKind.MONITOR, "m", version="20250122000002", name="rows", done=1, total=4, eta_s=None, values={})
    story.wait(1).tell(
        EventKind.MONITOR, "m", version="20250122000002", name="rows", done=2, total=4, eta_s=99.0, values={}
    )
    shown = view(story)
    assert shown.progress is not None
    assert shown.progress.eta_s == 99.0


def test_progress_ends_with_the_migration_it_belongs_to():
    story = stories.running().tell(
        EventKind.MIGRATION_FINISHED, "done", version="20250122000002", name="x", index=2, total=4, seconds=15.0
    )
    assert view(story).progress is None


def test_a_lock_wait_is_shown_while_it_lasts_and_remembered_afterwards():
    blockers = [{"pid": 7, "user": "app", "application": "web", "query": "SELECT 1", "seconds": 31.0}]
    story = Storyteller().until_migrate().begin("20250122000000")
    story.tell(EventKind.LOCK_WAIT, "waits for pid 7", version="20250122000000", attempt=1, blockers=blockers)
    waiting = view(story)
    assert waiting.lock_wait is not None
    assert waiting.lock_wait.blockers[0]["pid"] == 7
    assert "Waits for pid 7." in waiting.paragraph
    story.tell(EventKind.STATEMENT, "1", version="20250122000000", index=1, total=3, line=1, tag="ALTER", seconds=0.1)
    after = view(story)
    assert after.lock_wait is None
    assert len(after.lock_waits) == 1
    assert after.migrations[0].statements_done == 1


def test_nothing_to_do():
    story = Storyteller()
    story.versions, story.strategy = (), None
    story.move(Move.START).move(Move.NOTHING_TO_DO)
    shown = view(story)
    assert shown.headline == "Nothing to do: tracks-posts has no pending migration"
    assert shown.migrations == ()


def test_cancelled_before_anything_was_touched():
    story = Storyteller()
    story.cancel_reason = "Ctrl-C"
    story.move(Move.START).move(Move.CANCEL)
    shown = view(story)
    assert shown.paragraph == "The deploy was cancelled (Ctrl-C). Nothing in the database was changed."
    assert shown.level is Level.WARNING


def test_the_order_in_which_events_arrive_does_not_matter():
    for tell in stories.ALL.values():
        story = tell()
        shuffled = list(story.events)
        random.Random(4).shuffle(shuffled)
        assert deploy_view(story.deploy(), shuffled) == view(story)


@pytest.mark.parametrize("name", sorted(stories.ALL))
def test_every_prefix_of_a_story_can_be_shown(name: str):
    """A viewer may look at any moment: after each event there is a headline, a paragraph and rows in order of time."""
    story = stories.ALL[name]()
    final = story.deploy()
    for cut in range(len(story.events) + 1):
        events = story.events[:cut]
        moves = [event for event in events if event.kind is EventKind.STATE]
        state = State(moves[-1].data["to"]) if moves else State.QUEUED
        shown = deploy_view(final.model_copy(update={"state": state, "finished_at": None, "failure": None}), events)
        assert shown.headline
        assert shown.paragraph.endswith((".", "!", "?"))
        assert [row.offset_s for row in shown.timeline] == sorted(row.offset_s for row in shown.timeline)
        assert DeployView.model_validate_json(shown.model_dump_json()) == shown


def test_a_deploy_without_events_is_still_a_view():
    shown = deploy_view(Storyteller().deploy(), [])
    assert shown.headline == "Waiting for a worker"
    assert shown.duration_s == 0


def test_a_crash_that_repeats_events_counts_nothing_twice():
    story = stories.succeeded()
    again = [event for event in story.events if event.kind in (EventKind.CHECK, EventKind.MIGRATION_FINISHED)]
    repeated = [event.model_copy(update={"seq": 1000 + event.seq}) for event in again]
    assert deploy_view(story.deploy(), [*story.events, *repeated]).tally == view(story).tally


def test_warnings_do_not_count_as_failures():
    story = Storyteller(strategy=Strategy.ATOMIC).until_migrate()
    story.check("slow_query", verdict=Verdict.FAILED, severity=Severity.WARNING)
    assert view(story).tally.model_dump() == {"passed": 0, "failed": 0, "errored": 0, "warnings": 1}


def test_offsets_count_from_the_request():
    story = Storyteller().wait(2.5).move(Move.START)
    assert view(story).timeline[0].offset_s == 2.5
    assert view(story).timeline[0].at == story.now
    assert view(story).created_at == START


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 ms"),
        (0.0004, "0 ms"),
        (0.34, "340 ms"),
        (0.9996, "1.0 s"),
        (5, "5 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (192, "3 min 12 s"),
        (3599.6, "1 h"),
        (900, "15 min"),
        (7500, "2 h 05 min"),
        (273_600, "3 d 04 h"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_950, "1.0 MB"), (34_240_000, "34.2 MB"), (3e15, "3000.0 TB")],
)
def test_sizes(amount: float, text: str):
    assert words.size(amount) == text


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (list("abcd"), "a, b, c and d"),
        (list("abcdefg"), "a, b, c and 4 more"),
    ],
)
def test_listings(items: list[str], text: str):
    assert words.listing(items) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "+0:00.0"), (59.96, "+1:00.0"), (125.34, "+2:05.3"), (3723, "+1:02:03")]
)
def test_offsets(seconds: float, text: str):
    assert words.offset(seconds) == text


def test_sentence_leaves_names_alone():
    assert words.sentence("relation is gone") == "Relation is gone."
    assert words.sentence("pg_dump failed") == "pg_dump failed."
    assert words.sentence(" Done! ") == "Done!"
    assert words.clip("a  b\n c", 5) == "a b c"
    assert words.clip("abcdef", 4) == "abc…"


def test_a_failed_preflight_check_is_told_once():
    """It comes as CHECK, FINDING and FAILURE; the story has one line of it, the headline its name."""
    story = Storyteller()
    story.strategy = None
    story.move(Move.START)
    story.check("tables_there", phase="preflight", verdict=Verdict.FAILED, hint="Apply the base migrations")
    for check_id in ("tables_there", "may_change"):
        story.tell(
            EventKind.FINDING,
            f"check {check_id}: expected 0, found 1",
            event_severity=Severity.ERROR,
            code="preflight.check_failed",
            where={"check": check_id},
        )
    story.failure = Failure(
        cause="preflight", code="preflight.check_failed", message="check tables_there: expected 0, found 1 (and 1 more)"
    )
    story.tell(EventKind.FAILURE, story.failure.message, **story.failure.model_dump(mode="json"))
    story.move(Move.FAIL, story.failure.message)
    shown = view(story)
    assert shown.headline == (
        "Aborted before tracks-posts was touched: check tables_there did not pass, and 1 more problem"
    )
    assert [(row.what, row.detail) for row in shown.timeline] == [
        ("preflight", "2 problems in the way"),
        ("check", "tables_there failed: expected 0, observed 0"),
        ("aborted", ""),
    ]


def test_a_plan_that_cannot_run_blames_no_migration():
    """Its findings name the folder."""
    story = Storyteller()
    story.strategy = None
    story.move(Move.START)
    story.failure = Failure(
        cause="agent", code="plan.empty_folder", message="supabase/migrations holds no migration",
        file="supabase/migrations",
    )  # fmt: skip
    story.move(Move.FAIL, story.failure.message)
    shown = view(story)
    assert shown.headline == "Aborted before tracks-posts was touched: supabase/migrations holds no migration"
    assert "igration supabase" not in shown.paragraph
    assert "Supabase/migrations" not in shown.paragraph


def test_statements_that_committed_by_themselves_are_told():
    story = Storyteller().until_migrate()
    story.strategy = Strategy.STATEMENT
    version = "20250122000002"
    story.tell(
        EventKind.MIGRATION_STARTED, "a", version=version, name="x", index=1, total=1, statements=3,
        mode=RunMode.NO_TRANSACTION,
    )  # fmt: skip
    story.failure = Failure(cause="statement", code="x.y", message="m", version=version, statement=3)
    story.move(Move.FAIL)
    assert "By then 2 statements of 20250122000002_x had already been committed." in view(story).paragraph


def test_what_had_been_committed_is_why_rolling_back_was_not_enough():
    story = Storyteller().until_migrate().migrate("20250122000000")
    story.failure = Failure(cause="statement", code="x.y", message="m", version="20250122000002")
    story.move(Move.FAIL).move(Move.NOT_UNDONE)
    details = {phase.state: phase.detail for phase in view(story).phases}
    assert details[State.ROLLING_BACK] == "not enough: 1 migration had been committed"
