"""Rung 5: what can be reached, what is seen, and what people are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.core import platform_restore as core
from agent.core.platform import Backups, PitrWindow
from agent.core.platform_restore import Asked, Moment, Sight, has_begun, judge_sight, reach

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOMENT = Moment(second=int(NOON.timestamp()), snapshot="1:1:", point="20260101-120000-abcd")
ASKED = Asked(way="pitr", moment=MOMENT, asked_at=NOON, noted=True, kept=3, answer="accepted")
REF = "abcdefghijklmnopqrst"


def backups(earliest: int | None, latest: int | None, *, enabled: bool = True) -> Backups:
    return Backups(pitr_enabled=enabled, window=PitrWindow(earliest=earliest, latest=latest))


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (backups(10, 20), "ready"),
        (backups(15, 15), "ready"),
        (backups(None, None), "ready"),
        (backups(16, 20), "gone"),
        (backups(10, 14), "not_yet"),
        (backups(10, 20, enabled=False), "no_pitr"),
    ],
)
def test_what_can_be_reached(found, answer):
    assert reach(found, 15) == answer


@pytest.mark.parametrize(
    ("status", "database", "verdict", "begun"),
    [
        ("ACTIVE_HEALTHY", "old", "wait", False),  # the status may change late
        ("", "old", "wait", False),
        ("RESTORING", "old", "wait", True),
        ("RESTORING", "away", "wait", True),
        ("ACTIVE_HEALTHY", "away", "wait", True),
        ("ACTIVE_HEALTHY", "recovering", "wait", True),
        ("RESTORING", "back", "wait", True),  # its services are not all there yet
        ("COMING_UP", "back", "wait", True),
        ("SOMETHING_NEW", "back", "wait", True),
        ("ACTIVE_HEALTHY", "back", "back", True),
        ("", "back", "back", True),
        ("ACTIVE_HEALTHY", "other", "other", True),
        ("RESTORE_FAILED", "away", "failed", True),
        ("RESTORE_FAILED", "old", "failed", True),
    ],
)
def test_what_is_seen(status, database, verdict, begun):
    sight = Sight(status=status, database=database)
    assert judge_sight(sight) == verdict
    assert has_begun(sight) is begun


def test_people_are_told_what_to_tell_the_support():
    sight = Sight(status="RESTORING", database="away", why="nobody answers")
    failure = core.stuck(REF, ASKED, sight, now=NOON + timedelta(minutes=40))
    assert failure.code == "restore.platform_stuck"
    assert "not done after 40 min: the project is RESTORING (nobody answers)" in failure.message
    for said in (
        f"Project {REF}: a restore to unix second {MOMENT.second} was asked for at 2026-01-01 12:00:00 UTC",
        f"POST /v1/projects/{REF}/database/backups/restore-pitr (it was accepted)",
        "40 min later the project's status is RESTORING",
        core.SUPPORT,
        core.DOCS,
        "is in salvages: 3 rows (`deploy-agent salvage list`)",
    ):
        assert said in failure.hint


def test_the_words_of_an_undo():
    asked = ASKED.model_copy(update={"way": "undo", "answer": "in_doubt", "said": "HTTP 500", "kept": 0})
    text = core.support_text(REF, asked, status="", now=NOON + timedelta(seconds=5))
    assert f"restore point {MOMENT.point}" in text
    assert "backups/undo (its answer is in doubt: HTTP 500)" in text
    assert "status is not known" in text
    assert "restore point" in core.proposed("undo", MOMENT)


@pytest.mark.parametrize("made", [core.failed, core.not_begun, core.stuck])
def test_whatever_went_wrong_it_was_not_asked_again(made):
    seen = [] if made is core.failed else [Sight(status="RESTORING", database="old")]
    failure = made(REF, ASKED, *seen, now=NOON)
    assert "not asked again" in failure.hint
    assert REF in failure.hint


def test_a_name_for_a_restore_point_is_short_enough():
    assert len(core.point_name("20260412-093015-k7qf-and-more")) == core.POINT_NAME


def test_what_is_in_the_way_is_named():
    assert core.in_the_way([], []) == ""
    assert core.in_the_way(["b", "a"], ["s"]) == "2 replication slots (a, b) and 1 subscription (s)"
