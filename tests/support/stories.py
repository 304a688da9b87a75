"""Deploys as they are told by their events, for tests of everything that shows a deploy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agent.core.models import (
    Answer,
    Approval,
    CheckResult,
    Deploy,
    DeployRequest,
    Event,
    EventKind,
    Failure,
    Proposal,
    Severity,
    Strategy,
    Verdict,
)
from agent.core.restore_policy import approval_words, describe
from agent.core.states import FINAL, Move, State, after

START = datetime(2026, 3, 1, 2, 0, 0, tzinfo=UTC)
FILES = {
    "20250122000000": "add_track_types",
    "20250122000002": "migrate_audio_posts",
    "20250122000003": "update_playlists",
    "20250122000004": "drop_audio_columns",
}


class Storyteller:
    """Builds a deploy and its events; `wait` moves the time on."""

    def __init__(self, *, project: str = "tracks-posts", strategy: Strategy = Strategy.PER_MIGRATION) -> None:
        self.now = START
        self.state = State.QUEUED
        self.events: list[Event] = []
        self.failure: Failure | None = None
        self.approval: Approval | None = None
        self.cancel_reason = ""
        self.backup_id = ""
        self.strategy: Strategy | None = strategy
        self.versions: tuple[str, ...] = tuple(FILES)
        self.project = project

    def wait(self, seconds: float) -> Storyteller:
        self.now += timedelta(seconds=seconds)
        return self

    def tell(
        self, kind: EventKind, message: str, /, *, event_severity: Severity = Severity.INFO, **data: Any
    ) -> Storyteller:
        seq = len(self.events) + 1
        self.events.append(
            Event(
                kind=kind,
                message=message,
                at=self.now,
                severity=event_severity,
                data=data,
                deploy_id="01JQ7DEPLOY",
                seq=seq,
            )
        )
        return self

    def move(self, move: Move, message: str = "") -> Storyteller:
        before, self.state = self.state, after(self.state, move)
        return self.tell(
            EventKind.STATE, message or f"{before} → {self.state}", **{"from": before, "to": self.state, "move": move}
        )

    def check(
        self,
        check_id: str,
        *,
        phase: str = "final",
        verdict: Verdict = Verdict.PASSED,
        severity: Severity = Severity.ERROR,
        expected: str = "0",
        observed: str = "0",
        hint: str = "",
        title: str = "",
    ) -> Storyteller:
        result = CheckResult(
            id=check_id,
            title=title or check_id,
            phase=phase,
            verdict=verdict,
            severity=severity,
            expected=expected,
            observed=observed,
            hint=hint,
            seconds=0.25,
        )
        return self.tell(EventKind.CHECK, f"{check_id} {verdict}", **result.model_dump(mode="json"))

    def until_migrate(self) -> Storyteller:
        """Queued, preflight, snapshot and backup, as in every deploy that reaches the migrations."""
        self.move(Move.START).wait(1.2)
        self.tell(
            EventKind.FINDING,
            "3 sessions have been idle in transaction for more than 5 minutes",
            event_severity=Severity.WARNING,
            code="preflight.idle_in_transaction",
            hint="End them.",
        )
        self.move(Move.CLEAR).wait(2.5)
        self.tell(
            EventKind.SNAPSHOT,
            "snapshot taken",
            tables=12,
            rows=120_400,
            bytes=34_200_000,
            values={"audio_posts": 10_000},
            seconds=2.4,
        )
        self.move(Move.SNAPPED).wait(6.0)
        self.backup_id = "20260301T020003Z-tracks-posts"
        self.tell(
            EventKind.BACKUP,
            "backup published",
            id=self.backup_id,
            location="file:///backups/tracks-posts",
            bytes=9_800_000,
            files=14,
            seconds=5.9,
        )
        return self.move(Move.BACKED_UP)

    def approve(self, approval: Approval) -> Storyteller:
        """Asked, or answered."""
        self.approval = approval
        return self.tell(
            EventKind.APPROVAL,
            approval_words(approval),
            event_severity=Severity.WARNING,
            **approval.model_dump(mode="json"),
        )

    def migrate(self, version: str, *, seconds: float = 2.0, statements: int = 3) -> Storyteller:
        self.begin(version, statements=statements).wait(seconds)
        index = list(FILES).index(version) + 1
        return self.tell(
            EventKind.MIGRATION_FINISHED,
            f"{version} applied",
            version=version,
            name=FILES[version],
            index=index,
            total=len(FILES),
            seconds=seconds,
        )

    def begin(self, version: str, *, statements: int = 3, expected: dict[str, float] | None = None) -> Storyteller:
        index = list(FILES).index(version) + 1
        return self.tell(
            EventKind.MIGRATION_STARTED,
            f"{version} begins",
            version=version,
            name=FILES[version],
            index=index,
            total=len(FILES),
            statements=statements,
            mode="transaction",
            expected=expected,
        )

    def deploy(self) -> Deploy:
        return Deploy(
            id="01JQ7DEPLOY",
            project=self.project,
            state=self.state,
            request=DeployRequest(project=self.project),
            created_at=START,
            updated_at=self.now,
            finished_at=self.now if self.state in FINAL else None,
            cancel_reason=self.cancel_reason,
            strategy=self.strategy,
            versions=self.versions,
            backup_id=self.backup_id,
            failure=self.failure,
            approval=self.approval,
        )


def succeeded() -> Storyteller:
    """All four migrations in one transaction, every check passed."""
    story = Storyteller(strategy=Strategy.ATOMIC).until_migrate()
    for version in FILES:
        story.migrate(version)
    story.move(Move.APPLIED)
    for name in ("tracks_counted", "no_orphans", "rls_enabled"):
        story.check(name).wait(0.25)
    story.tell(
        EventKind.CHANGES,
        "what changed: 2 created, 1 dropped, 1 altered",
        created=["relation:public.tracks", "type:public.track_type"],
        dropped=["relation:public.audio_posts"],
        altered=["policy:public.posts.readable"],
        counts={"created": 2, "dropped": 1, "altered": 1},
    )
    return story.move(Move.PASSED, "4 migrations applied, 3 checks passed")


def restored() -> Storyteller:
    """000003 fails on a foreign key after two files had committed; the backup is restored in place."""
    story = Storyteller().until_migrate()
    story.migrate("20250122000000").check("types_exist", phase="migration:20250122000000")
    story.migrate("20250122000002").check("tracks_counted", phase="migration:20250122000002")
    story.begin("20250122000003", statements=9).wait(0.8)
    story.failure = Failure(
        cause="statement",
        code="target.statement_failed",
        message='insert or update on "playlist_tracks" violates foreign key constraint "playlist_tracks_track_id_fkey"',
        version="20250122000003",
        file="20250122000003_update_playlists.sql",
        line=41,
        statement=4,
        sql="ALTER TABLE playlist_tracks\n"
        " ADD CONSTRAINT playlist_tracks_track_id_fkey FOREIGN KEY (track_id) REFERENCES tracks",
        sqlstate="23503",
        detail='Key (track_id)=(00000000-0000-0000-0000-0000000000aa) is not present in table "tracks".',
        runbook_hints=("Find the dangling rows with the query in section 5 and delete them first",),
    )
    story.tell(
        EventKind.FAILURE, story.failure.message, event_severity=Severity.ERROR, **story.failure.model_dump(mode="json")
    )
    story.move(Move.FAIL).wait(0.3)
    story.tell(
        EventKind.RUNG,
        "transaction rollback was not enough",
        event_severity=Severity.WARNING,
        rung=1,
        name="transaction rollback",
        ok=False,
        differences=["table public.tracks is new", "column playlists.track_id is new"],
    )
    story.move(Move.NOT_UNDONE).wait(4.0)
    story.tell(
        EventKind.RUNG, "the database equals the snapshot", rung=4, name="in-place restore", ok=True, differences=[]
    )
    return story.move(Move.RESTORED, "restored from the backup")


def check_failed() -> Storyteller:
    """One transaction over all; a final check finds lost rows before COMMIT."""
    story = Storyteller(strategy=Strategy.ATOMIC).until_migrate()
    for version in FILES:
        story.migrate(version)
    story.check("no_orphans")
    story.check(
        "tracks_counted",
        verdict=Verdict.FAILED,
        expected="after.tracks >= before.audio_posts (10000)",
        observed="9400",
        title="Every audio post became a track",
        hint="Look for audio posts without an author",
    )
    story.failure = Failure(
        cause="check",
        code="check.failed",
        message="check tracks_counted failed",
        check="tracks_counted",
    )
    story.move(Move.FAIL).wait(0.1)
    story.tell(
        EventKind.RUNG, "the database equals the snapshot", rung=1, name="transaction rollback", ok=True, differences=[]
    )
    return story.move(Move.UNDONE, "rolled back")


def needs_operator() -> Storyteller:
    """As `restored`, but the restore leaves a difference."""
    story = restored()
    story.events = story.events[:-2]
    story.state = State.RESTORING
    story.tell(
        EventKind.RUNG,
        "restored, but not equal",
        event_severity=Severity.ERROR,
        rung=4,
        name="in-place restore",
        ok=False,
        differences=["policy storage.objects:owner_reads differs"],
    )
    return story.move(Move.GIVE_UP, "a person is needed")


def _asked(story: Storyteller) -> Approval:
    """As `restored`, up to the question."""
    made = restored()
    vars(story).update(vars(made))
    story.events = story.events[:-2]
    story.state = State.RESTORING
    story.now = story.events[-1].at
    proposal = Proposal(
        rung=4,
        backup_id=story.backup_id,
        undone=("table public.tracks is new", "column public.playlists.track_id is new", "index public.posts_kind"),
        tables=("public.playlists", "public.posts"),
        rows_salvaged=12,
        rows_lost=0,
        lost_unknown=True,
        seconds=14.2,
    )
    reason = "restore is set to approve"
    approval = Approval(number=1, proposal=proposal, reason=reason, asked_at=story.now)
    story.tell(
        EventKind.PROPOSAL,
        describe(proposal),
        event_severity=Severity.WARNING,
        **proposal.model_dump(mode="json"),
        verdict="ask",
        reason=reason,
    )
    story.approve(approval)
    return approval


def waiting() -> Storyteller:
    """As `restored`, but people are asked before the restore."""
    story = Storyteller()
    _asked(story)
    story.wait(95)
    return story


def approved() -> Storyteller:
    """As `waiting`; somebody says yes."""
    story = Storyteller()
    asked = _asked(story)
    story.wait(95)
    story.approve(answered(asked, story, Answer.APPROVED)).wait(4.0)
    story.tell(
        EventKind.RUNG, "the database equals the snapshot", rung=4, name="in-place restore", ok=True, differences=[]
    )
    return story.move(Move.RESTORED, "restored from the backup")


def rejected() -> Storyteller:
    """As `waiting`; somebody says no."""
    story = Storyteller()
    asked = _asked(story)
    story.wait(95)
    story.approve(answered(asked, story, Answer.REJECTED))
    return story.move(Move.GIVE_UP, "a person is needed: the restore was rejected")


def answered(asked: Approval, story: Storyteller, answer: Answer) -> Approval:
    return asked.model_copy(
        update={"answer": answer, "answered_at": story.now, "answered_by": "nina (cli)", "remark": "spoke to the team"}
    )


def aborted() -> Storyteller:
    """Preflight finds a version in the database that no file has."""
    story = Storyteller()
    story.strategy = None
    story.move(Move.START).wait(0.4)
    story.tell(
        EventKind.FINDING,
        "version 20250101000000 is in the database but not in the folder",
        event_severity=Severity.ERROR,
        code="plan.remote_only",
        hint="Fetch it.",
    )
    story.failure = Failure(
        cause="preflight",
        code="plan.remote_only",
        message="version 20250101000000 is in the database but not in the folder",
        hint="Run `supabase migration fetch`, or put the file back",
    )
    return story.move(Move.FAIL, "preflight refused")


def running() -> Storyteller:
    """The second migration runs; its monitor has moved from 0 to 43 %."""
    story = Storyteller().until_migrate()
    story.migrate("20250122000000").begin("20250122000002", expected={"low_s": 900, "high_s": 1500})
    for done in (0, 2_000, 4_300):
        story.tell(
            EventKind.MONITOR,
            f"{done} of 10000 posts moved",
            version="20250122000002",
            name="posts moved",
            values={"posts": done},
            done=done,
            total=10_000,
        ).wait(5.0)
    story.tell(EventKind.NOTICE, "moved 4300 posts", version="20250122000002", level="NOTICE", detail="", hint="")
    return story


ALL = {
    "succeeded": succeeded,
    "restored": restored,
    "check_failed": check_failed,
    "needs_operator": needs_operator,
    "aborted": aborted,
    "running": running,
    "waiting": waiting,
    "approved": approved,
    "rejected": rejected,
}
