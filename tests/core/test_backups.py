"""Manifest, retention and what a restore chooses: pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.backups import (
    Kept,
    Manifest,
    OutsideObject,
    StoredFile,
    choose_entries,
    outside_changes,
    retention,
    seal,
    unseal,
)
from agent.core.models import BackupRecord, BackupState
from agent.errors import BackupError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def manifest(**more) -> Manifest:
    return Manifest(
        **{
            "id": "b1",
            "project": "p",
            "target": "h:5432/d",
            "created_at": NOW,
            "finished_at": NOW,
            "agent_version": "1",
            "tool_version": "17.10",
            "server_version": "17.4 (Debian 17.4-1)",
            "lsn": "0/1",
            "snapshot_id": "x",
            "schemas": ("public",),
            "all_schemas": ("public", "auth"),
            "values": {"größe": 1.5, "none": None},
            "files": (
                StoredFile(name="application/toc.dat", bytes=3, sha256="aa"),
                StoredFile(name="outside.json.age", bytes=4, sha256="bb"),
            ),
            **more,
        }
    )


def record(name: str, days: float, state: BackupState = BackupState.PUBLISHED) -> BackupRecord:
    return BackupRecord(
        id=name, project="p", created_at=NOW - timedelta(days=days), location="file:///x", state=state, bytes=1
    )


def test_a_manifest_is_read_as_it_was_sealed():
    assert unseal(seal(manifest()), where="x") == manifest()
    assert manifest().bytes == 7


@given(st.data())
def test_no_changed_manifest_is_taken(data: st.DataObject):
    content = json.loads(seal(manifest()))
    key = data.draw(st.sampled_from(sorted(set(content) - {"sha256"})))
    content[key] = data.draw(st.one_of(st.integers(), st.text(), st.none()).filter(lambda value: value != content[key]))
    with pytest.raises(BackupError) as caught:
        unseal(json.dumps(content).encode(), where="place/manifest.json")
    assert caught.value.code == "backup.manifest_damaged"
    assert "place/manifest.json" in caught.value.message


@pytest.mark.parametrize("stored", [b"", b"[]", b"{}", b"\xff", b"1", b'{"sha256": 1}'])
def test_what_is_no_manifest_is_said_so(stored: bytes):
    with pytest.raises(BackupError) as caught:
        unseal(stored, where="x")
    assert caught.value.code == "backup.manifest_damaged"


def test_a_format_of_the_future_is_named():
    with pytest.raises(BackupError) as caught:
        unseal(seal(manifest(format=2)), where="x")
    assert caught.value.code == "backup.newer_format"


def test_retention_by_count_and_age():
    backups = [record(f"b{days}", days) for days in (1, 2, 3, 4, 5)]
    assert retention(backups, now=NOW, keep_last=2, keep_days=None) == {
        "b1": Kept.LATEST,
        "b2": Kept.COUNT,
        "b3": None,
        "b4": None,
        "b5": None,
    }
    assert retention(backups, now=NOW, keep_last=None, keep_days=4) == {
        "b1": Kept.LATEST,
        "b2": Kept.AGE,
        "b3": Kept.AGE,
        "b4": None,
        "b5": None,
    }


def test_a_salvage_that_is_not_settled_keeps_its_backup():
    backups = [record("new", 1), record("old", 2), record("bad", 3, BackupState.DAMAGED)]
    assert retention(backups, now=NOW, keep_last=1, keep_days=None, unsettled={"old", "bad"}) == {
        "new": Kept.LATEST,
        "old": Kept.SALVAGE,
        "bad": Kept.SALVAGE,
    }


def test_damaged_ones_do_not_count_and_go():
    backups = [record("bad", 1, BackupState.DAMAGED), record("good", 2), record("old", 3)]
    assert retention(backups, now=NOW, keep_last=1, keep_days=None) == {"bad": None, "good": Kept.LATEST, "old": None}


_BACKUPS = st.lists(
    st.builds(
        record,
        st.integers(0, 99).map(lambda n: f"b{n}"),
        st.floats(0, 100, allow_nan=False),
        st.sampled_from(list(BackupState)),
    ),
    unique_by=lambda one: one.id,
)
_RULE = st.none() | st.integers(0, 20)


@given(_BACKUPS, _RULE, _RULE, st.sets(st.integers(0, 99).map(lambda n: f"b{n}")))
def test_what_is_never_removed(backups, keep_last, keep_days, needed):
    verdicts = retention(backups, now=NOW, keep_last=keep_last, keep_days=keep_days, needed=needed)
    assert verdicts.keys() == {one.id for one in backups}
    kept = {name for name, why in verdicts.items() if why is not None}
    assert needed & verdicts.keys() <= kept
    sound = sorted((one for one in backups if one.state is not BackupState.DAMAGED), key=lambda one: one.created_at)
    verified = [one for one in sound if one.state is BackupState.VERIFIED]
    assert not sound or any(one.created_at == sound[-1].created_at and one.id in kept for one in sound)
    assert not verified or any(one.created_at == verified[-1].created_at and one.id in kept for one in verified)
    assert keep_last is None or len([one for one in sound if one.id in kept]) >= min(keep_last, len(sound))
    assert keep_last is not None or keep_days is not None or kept == verdicts.keys()


def thing(name: str, *, create: str = "", tied: bool = False, kind: str = "policy") -> OutsideObject:
    return OutsideObject(kind=kind, name=name, create=create or f"make {name}", drop=f"drop {name}", tied=tied)


def test_only_what_differs_or_is_tied_is_made_again():
    before = [thing("same"), thing("gone"), thing("altered"), thing("tied", tied=True)]
    now = [thing("same"), thing("altered", create="other"), thing("tied", tied=True), thing("new")]
    dropped, made = outside_changes(before, now)
    assert [item.drop for item in dropped] == ["drop altered", "drop tied", "drop new"]
    assert [item.create for item in made] == ["make gone", "make altered", "make tied"]


def shared(name: str, create: str = "make", drop: str = "drop") -> OutsideObject:
    return OutsideObject(kind="role", name=name, create=create, drop=drop, shared=True, replaces=True)


def test_what_can_be_set_right_where_it_is_does_not_go_first():
    dropped, made = outside_changes([shared("altered"), shared("gone")], [shared("altered", "other"), shared("new")])
    assert [item.name for item in dropped] == ["new"]
    assert [item.name for item in made] == ["altered", "gone"]


def test_what_holds_a_secret_is_neither_made_nor_dropped_unless_it_is_new():
    dropped, made = outside_changes([shared("kept", ""), shared("gone", "")], [shared("kept", ""), shared("new", "")])
    assert [item.name for item in dropped] == ["new"]
    assert made == []
    assert outside_changes([shared("kept", "")], [shared("kept", "now told")]) == ([], [])


def test_a_backup_of_an_earlier_version_says_nothing_of_roles_and_servers():
    assert outside_changes([thing("same")], [thing("same"), shared("there")]) == ([], [])


_THINGS = st.lists(
    st.builds(
        thing,
        st.sampled_from("abcdef"),
        create=st.sampled_from(["x", "y"]),
        tied=st.booleans(),
        kind=st.sampled_from(["policy", "trigger"]),
    ),
    unique_by=lambda item: (item.kind, item.name),
)


@given(_THINGS, _THINGS)
def test_afterwards_it_is_as_it_was(before: list[OutsideObject], now: list[OutsideObject]):
    dropped, made = outside_changes(before, now)
    there = {(item.kind, item.name): item.create for item in now}
    for item in dropped:
        del there[item.kind, item.name]
    for item in made:
        assert (item.kind, item.name) not in there
        there[item.kind, item.name] = item.create
    assert there == {(item.kind, item.name): item.create for item in before}


LISTING = """;
; Archive created at 2026-11-22
;
6; 2615 2200 SCHEMA - public pg_database_owner
3; 0 0 ACL - SCHEMA public pg_database_owner
4; 0 0 COMMENT - SCHEMA public pg_database_owner
7; 2615 2201 SCHEMA - public_2 postgres
300; 1259 1 TABLE public albums postgres
301; 1259 2 TABLE public theirs supabase_admin
302; 0 1 TABLE DATA public albums postgres
303; 0 0 ACL public TABLE albums postgres
304; 2606 3 FK CONSTRAINT public profiles profiles_id_fkey postgres
305; 826 4 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES postgres
306; 6106 5 PUBLICATION TABLE public supabase_realtime albums postgres
"""


def ids(listing: str) -> list[int]:
    return [int(line.split(";")[0]) for line in listing.splitlines()]


def test_what_of_a_listing_is_restored():
    assert ids(choose_entries(LISTING)) == [6, 3, 4, 7, 300, 301, 302, 303, 304]
    assert ids(choose_entries(LISTING, existing_schemas=["public"])) == [7, 300, 301, 302, 303, 304]
    assert 301 not in ids(choose_entries(LISTING, foreign_owners=["supabase_admin"]))
    assert 304 not in ids(choose_entries(LISTING, without_keys=["public.profiles profiles_id_fkey"]))
