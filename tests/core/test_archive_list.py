"""The table of contents of an archive: read, what belongs to which, and the fast order. `archive_list.txt` is real."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.archive_list import Entry, belongings, entries, fast_order

LISTING = (Path(__file__).parent / "archive_list.txt").read_text()
ENTRIES = entries(LISTING)


def name(entry: Entry) -> str:
    return f"{entry.desc} {entry.tag}"


def one(wanted: str) -> Entry:
    [found] = [entry for entry in ENTRIES if name(entry) == wanted]
    return found


def names(ids: set[int]) -> set[str]:
    return {name(entry) for entry in ENTRIES if entry.dump_id in ids}


def test_every_line_is_an_entry_with_its_fields():
    assert [entry.line for entry in ENTRIES] == [line for line in LISTING.splitlines() if line[:1].isdigit()]
    child = one("TABLE child")
    assert (child.classid, child.schema_name, child.owner) == (1259, "public", "postgres")
    rows = one("TABLE DATA child")
    assert (rows.classid, rows.objid, rows.needs) == (0, child.objid, (child.dump_id,))
    assert one("ENCODING ENCODING").schema_name == ""
    assert one("TABLE a b").schema_name == "odd name"
    assert set(one("DEFAULT child id").needs) == {one("SEQUENCE child_id_seq").dump_id, child.dump_id}
    assert one("COMMENT COLUMN child.pid").owner == "postgres"
    key = one("FK CONSTRAINT child child_self_fkey")
    assert set(key.needs) == {one("CONSTRAINT child child_pkey").dump_id, child.dump_id}


@pytest.mark.parametrize("text", ["", ";\n; Archive created at\n;\tdepends on: 1\n", "no; entry\n"])
def test_what_is_no_entry_is_passed_over(text: str):
    assert entries(text) == ()


def test_a_line_break_in_a_name_makes_no_entry():
    """pg_restore writes names on one line; other separators of lines are part of a name."""
    [entry] = entries("7; 1259 16400 TABLE public a\u2028b\x0bc postgres\n")
    assert entry.tag == "a\u2028b\x0bc"


def test_what_belongs_to_a_table():
    assert names(belongings(ENTRIES, {one("TABLE child").dump_id})) == {
        "TABLE child",
        "SEQUENCE child_id_seq",
        "SEQUENCE OWNED BY child_id_seq",
        "SEQUENCE SET child_id_seq",
        "ACL SEQUENCE child_id_seq",
        "ACL TABLE child",
        "COMMENT COLUMN child.pid",
        "COMMENT CONSTRAINT child_pkey ON child",
        "CONSTRAINT child child_pkey",
        "DEFAULT child id",
        "FK CONSTRAINT child child_pid_at_fkey",
        "FK CONSTRAINT child child_self_fkey",
        "POLICY child all_of_them",
        "ROW SECURITY child",
        "RULE child quiet",
        "STATISTICS child_stats",
        "TABLE DATA child",
        "TRIGGER child touch",
    }


def test_partitions_go_with_the_whole():
    found = names(belongings(ENTRIES, {one("TABLE p").dump_id}))
    assert {"TABLE p1", "TABLE DATA p2", "TABLE ATTACH p1", "INDEX ATTACH p2_pkey", "COMMENT INDEX p_at"} <= found
    assert not any("child" in name for name in found)
    found = names(belongings(ENTRIES, {one("INDEX p_at").dump_id}))
    assert found == {
        "INDEX p_at",
        "COMMENT INDEX p_at",
        "INDEX p1_at_idx",
        "INDEX p2_at_idx",
        "INDEX ATTACH p1_at_idx",
        "INDEX ATTACH p2_at_idx",
    }


def test_a_partition_alone_is_attached_again():
    found = names(belongings(ENTRIES, {one("TABLE p1").dump_id}))
    assert {"TABLE ATTACH p1", "INDEX ATTACH p1_pkey", "INDEX ATTACH p1_at_idx", "TABLE DATA p1"} <= found
    assert not {"TABLE p", "TABLE p2"} & found


def test_what_belongs_to_the_rest():
    assert names(belongings(ENTRIES, {one("TABLE DATA child").dump_id})) == {"TABLE DATA child"}
    assert "RULE grouped _RETURN" in names(belongings(ENTRIES, {one("VIEW grouped").dump_id}))
    assert "CHECK CONSTRAINT small below" in names(belongings(ENTRIES, {one("DOMAIN small").dump_id}))
    assert {"INDEX kept_key", "MATERIALIZED VIEW DATA kept"} <= names(
        belongings(ENTRIES, {one("MATERIALIZED VIEW kept").dump_id})
    )
    assert "BLOBS 4711" in names(belongings(ENTRIES, {one("BLOB METADATA 4711").dump_id}))
    assert "TABLE inherits" not in names(belongings(ENTRIES, {one("TABLE g1").dump_id}))


def test_foreign_keys_come_before_the_rows_that_they_would_check():
    order = [name(entry) for entry in fast_order(ENTRIES)]

    def place(wanted: str) -> int:
        return order.index(wanted)

    assert place("TABLE DATA p2") < place("CONSTRAINT p p_pkey") < place("INDEX ATTACH p2_pkey")
    assert place("INDEX ATTACH p2_pkey") < place("FK CONSTRAINT child child_pid_at_fkey") < place("TABLE DATA child")
    assert place("TABLE DATA child") < place("CONSTRAINT child child_pkey") < place("FK CONSTRAINT pc pc_cid_fkey")
    assert place("FK CONSTRAINT pc pc_cid_fkey") < place("TABLE DATA pc1")
    last = max(place(name(entry)) for entry in ENTRIES if entry.desc == "TABLE DATA")
    for key in ("child child_self_fkey", "g1 g1_other_fkey", "g2 g2_person_fkey"):  # itself, a circle, outside
        assert place(f"FK CONSTRAINT {key}") > last
    assert place("FK CONSTRAINT g2 g2_other_fkey") < place("TABLE DATA g2")
    for late in ("INDEX p1_at_idx", "CONSTRAINT alone alone_pkey", "TRIGGER child touch", "RULE grouped _RETURN"):
        assert place(late) > last


def test_a_key_to_a_table_that_is_not_restored_checks_the_rows():
    chosen = belongings(ENTRIES, {one("TABLE child").dump_id})
    order = [name(entry) for entry in fast_order(entry for entry in ENTRIES if entry.dump_id in chosen)]
    assert order.index("FK CONSTRAINT child child_pid_at_fkey") > order.index("TABLE DATA child")


def check_order(given: list[Entry]) -> None:
    order = [entry.dump_id for entry in fast_order(given)]
    assert sorted(order) == sorted(entry.dump_id for entry in given)
    place = {number: index for index, number in enumerate(order)}
    for entry in given:
        for number in entry.needs:
            assert place.get(number, -1) < place[entry.dump_id]


@given(st.sets(st.sampled_from([entry.dump_id for entry in ENTRIES])))
def test_the_order_holds_each_entry_once_behind_what_it_needs(chosen: set[int]):
    check_order([entry for entry in ENTRIES if entry.dump_id in chosen])
    check_order([entry for entry in ENTRIES if entry.dump_id in belongings(ENTRIES, chosen)])


_TABLE_COUNT = st.integers(1, 12)


@given(_TABLE_COUNT.flatmap(lambda n: st.tuples(st.just(n), st.sets(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_any_web_of_foreign_keys_is_ordered(web: tuple[int, set[tuple[int, int]]]):
    count, references = web
    lines = [f"{n + 1}; 1259 {n + 1} TABLE public t{n} o\n" for n in range(count)]
    lines += [f"{n + 101}; 0 {n + 1} TABLE DATA public t{n} o\n;\tdepends on: {n + 1}\n" for n in range(count)]
    lines += [f"{n + 201}; 2606 {n + 201} CONSTRAINT public t{n} key o\n;\tdepends on: {n + 1}\n" for n in range(count)]
    lines += [
        f"{301 + m}; 2606 {301 + m} FK CONSTRAINT public t{a} fk{b} o\n;\tdepends on: {a + 1} {b + 1} {b + 201}\n"
        for m, (a, b) in enumerate(sorted(references))
    ]
    given = list(entries("".join(lines)))
    check_order(given)
    order = [entry.dump_id for entry in fast_order(given)]
    if all(a > b for a, b in references):  # no circle: every key meets an empty table
        for m, (a, _) in enumerate(sorted(references)):
            assert order.index(301 + m) < order.index(101 + a)
