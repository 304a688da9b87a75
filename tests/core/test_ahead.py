"""Which tables of a full restore are loaded ahead, and under which words."""

from __future__ import annotations

import pytest

from agent.core import ahead
from agent.core.archive_list import Entry, entries

LISTING = """\
11; 2615 2200 SCHEMA - public pg_database_owner
10; 1247 900 TYPE public mood postgres
20; 1259 120 TABLE public parent postgres
;	depends on: 11
21; 1259 121 TABLE public Child x postgres
;	depends on: 11
22; 1259 122 TABLE public moody postgres
;	depends on: 10 11
23; 1259 123 TABLE public others somebody
;	depends on: 11
30; 0 120 TABLE DATA public parent postgres
;	depends on: 20
31; 0 121 TABLE DATA public Child x postgres
;	depends on: 21
32; 0 122 TABLE DATA public moody postgres
;	depends on: 22
33; 0 123 TABLE DATA public others somebody
;	depends on: 23
40; 2606 140 CONSTRAINT public parent parent_pkey postgres
;	depends on: 20
41; 1259 141 INDEX public child_note postgres
;	depends on: 21 21
42; 2606 142 FK CONSTRAINT public Child x child_parent postgres
;	depends on: 21 20 40
43; 2606 143 FK CONSTRAINT public Child x child_mood postgres
;	depends on: 21 22
44; 2606 144 FK CONSTRAINT public parent parent_self postgres
;	depends on: 20 40 20
"""
TEXT = """\
SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- TOC entry 20 (class 1259 OID 120)
-- Name: parent; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.parent (
    id bigint NOT NULL,
    note text DEFAULT '; -- no comment'::text
);
ALTER TABLE ONLY public.parent ALTER COLUMN note SET STORAGE EXTERNAL;


ALTER TABLE public.parent OWNER TO postgres;

--
-- TOC entry 21 (class 1259 OID 121)
--

CREATE UNLOGGED TABLE public."Child x" (
    id bigint
);


ALTER TABLE public."Child x" OWNER TO postgres;

--
-- TOC entry 22 (class 1259 OID 122)
--

CREATE TABLE public.moody (
    m public.mood
);

--
-- TOC entry 40 (class 2606 OID 140)
--

ALTER TABLE ONLY public.parent
    ADD CONSTRAINT parent_pkey PRIMARY KEY (id);

--
-- TOC entry 41 (class 1259 OID 141)
--

CREATE INDEX child_note ON public."Child x" USING btree (id);

--
-- TOC entry 42 (class 2606 OID 142)
--

ALTER TABLE ONLY public."Child x"
    ADD CONSTRAINT child_parent FOREIGN KEY (id) REFERENCES public.parent(id);

--
-- TOC entry 43 (class 2606 OID 143)
--

ALTER TABLE ONLY public."Child x"
    ADD CONSTRAINT child_mood FOREIGN KEY (id) REFERENCES public.moody(m);

--
-- TOC entry 44 (class 2606 OID 144)
--

ALTER TABLE ONLY public.parent
    ADD CONSTRAINT parent_self FOREIGN KEY (id) REFERENCES public.parent(id);
"""
NAMES = {120: "public.parent", 121: 'public."Child x"', 122: "public.moody", 123: "public.others"}
SIZES = {30: 10, 31: 2_000, 32: 2_000, 33: 2_000}


def chosen(text: str = TEXT, *, least: int = 0, order: tuple[Entry, ...] = entries(LISTING)) -> dict[str, ahead.Table]:
    found = ahead.chosen(order, ahead.scripts(text), NAMES, SIZES, role="postgres", least=least)
    return {one.name: one for one in found}


def test_parents_come_first_and_only_what_hangs_on_nothing_else_is_taken() -> None:
    found = chosen()
    assert list(found) == [
        "public.parent",
        'public."Child x"',
    ]  # not moody: a type of the application; not others': its owner
    assert found["public.parent"].taken == {20, 30, 40, 44}
    assert found['public."Child x"'].taken == {21, 31, 41, 42}  # not 43: what it refers to is made later


def test_a_small_table_is_taken_where_a_large_one_refers_to_it() -> None:
    assert "public.parent" in chosen(least=1_000)
    assert not chosen(least=10_000)


def test_the_words_are_about_the_other_name() -> None:
    parent, child = chosen().values()
    assert parent.make == (
        f"CREATE TABLE {parent.alias} (\n    id bigint NOT NULL,\n    note text DEFAULT '; -- no comment'::text\n)",
        f"ALTER TABLE ONLY {parent.alias} ALTER COLUMN note SET STORAGE EXTERNAL",
    )
    assert child.indexes == (f"CREATE INDEX child_note ON {child.alias} USING btree (id)",)
    [early] = child.early
    assert early.sql.startswith(f"ALTER TABLE ONLY {child.alias}\n    ADD CONSTRAINT child_parent")
    assert early.sql.endswith(f"REFERENCES {parent.alias}(id)")
    assert child.parents == {20}
    assert [key.sql.partition("REFERENCES ")[2] for key in parent.late] == [f"{parent.alias}(id)"]
    bare = child.alias.partition(".")[2]
    assert child.places == {"alias": child.alias, "bare": bare, "schema": "public", "own": '"Child x"'}


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("SET default_tablespace = ''", "SET default_tablespace = fast"),
        TEXT.replace("-- TOC entry 44 (", "-- TOC entry 20 ("),  # the same twice: a text that looks like a mark
    ],
)
def test_nothing_is_taken_where_the_text_is_not_sure(text: str) -> None:
    assert not chosen(text)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("    id bigint NOT NULL,", "    id regclass NOT NULL,"),
        ("ALTER TABLE ONLY public.parent ALTER COLUMN note SET", "ALTER TABLE public.parent SOMETHING NEW"),
    ],
)
def test_a_table_that_is_not_fit_is_left_to_the_restore(written: str, instead: str) -> None:
    assert written in TEXT
    assert list(chosen(TEXT.replace(written, instead))) == ['public."Child x"']


def test_a_partition_and_what_is_inherited_stay_out() -> None:
    attached = entries(LISTING + "50; 2635 150 TABLE ATTACH public parent postgres\n;\tdepends on: 20 21\n")
    assert not chosen(order=attached)


def test_names_that_would_meet_in_one_schema_stay_apart() -> None:
    same = LISTING.replace("INDEX public child_note", "INDEX public parent parent_pkey")
    assert list(chosen(order=entries(same))) == ["public.parent"]
