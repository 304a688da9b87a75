"""How a restore is cut where the server has no room for all its locks."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.core import lock_room
from agent.core.archive_list import fast_order
from tests.core.test_archive_list import ENTRIES, belongings, name, one

ORDER = fast_order(ENTRIES)


def test_the_room_is_a_part_of_what_is_free():
    assert lock_room.room(places=6400, taken=0) < 6400
    assert lock_room.room(places=6400, taken=3000) < lock_room.room(places=6400, taken=0)
    assert lock_room.room(places=100, taken=100) == 1


def test_only_new_objects_count():
    """Measured: a table with its TOAST table and that one's index; a key; a sequence; nothing for rows or rights."""
    chosen = belongings(ENTRIES, {one("TABLE child").dump_id})
    made = [entry for entry in ENTRIES if entry.dump_id in chosen]
    kinds = sorted(entry.desc for entry in made if lock_room.to_make([entry]))
    assert kinds == ["CONSTRAINT", "SEQUENCE", "STATISTICS", "TABLE"]
    assert lock_room.to_make(made) == 6


@given(st.integers(1, 60))
def test_every_entry_is_in_one_part_in_the_same_order(room: int):
    parts = lock_room.cut(ORDER, room=room)
    assert list(itertools.chain(*parts)) == list(ORDER)
    for part in parts:
        largest = max(lock_room.to_make([entry]) for entry in part)
        assert lock_room.to_make(part) <= max(room, largest)


@given(st.integers(1, 60))
def test_a_function_never_commits_without_its_rights(room: int):
    for part in lock_room.cut(ORDER, room=room):
        assert not name(part[0]).startswith("ACL FUNCTION")


def test_rights_on_what_holds_rows_are_apart():
    others, rights = lock_room.rights_apart(ORDER)
    assert {entry.desc for entry in rights} == {"ACL"}
    assert "ACL TABLE child" in map(name, rights)
    assert "ACL SEQUENCE child_id_seq" in map(name, rights)
    assert "ACL FUNCTION touch()" in map(name, others)
    assert len(others) + len(rights) == len(ORDER)


@given(st.lists(st.integers(1, 50)), st.integers(1, 100))
def test_drops_are_cut_by_their_locks(locks: list[int], room: int):
    parts = list(lock_room.cut_drops(enumerate(locks), room=room))
    assert list(itertools.chain(*parts)) == list(range(len(locks)))
    assert all(part and (len(part) == 1 or sum(locks[n] for n in part) <= room) for part in parts)
