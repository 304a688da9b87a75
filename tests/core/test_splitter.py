"""The splitter's rules by example, and what must hold for any text. tests/interop compares it with the real CLI."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.splitter import code_only, skip_comments, split

BLANK = " \t\n\v\f\r\u00a0\u2028\ufeff"
TOKENS = [
    *"'\"$;();\\-/*\n\r eE1_é\u00a0\u2028😀",
    *("$$", "$a$", "--", "/*", "*/", "''", "E'", "\\'", "select 1;", " BEGIN ATOMIC ", " end;", " CASE ", "\r\n"),
]
sql_like = st.lists(st.sampled_from(TOKENS), max_size=40).map("".join)


def texts(sql: str) -> list[str]:
    return [piece.text for piece in split(sql)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("", []),
        (" ;;\n; ", []),
        ("select 1", ["select 1"]),
        ("select 1;select 2;\n", ["select 1", "select 2"]),
        ("select ';', \";\", $$;$$, $a$;$$;$a$;x", ["select ';', \";\", $$;$$, $a$;$$;$a$", "x"]),
        ("select 'it''s;';x", ["select 'it''s;'", "x"]),
        (r"select E'a\';b';x", [r"select E'a\';b'", "x"]),
        (r"select 'a\';x", [r"select 'a\'", "x"]),
        ("select E'a'\n'\\';b';x", ["select E'a'\n'\\';b'", "x"]),
        ("select 1 -- ; '\n;x", ["select 1 -- ; '", "x"]),
        ("/* ; /* ; */ ; */ select 1; -- tail", ["/* ; /* ; */ ; */ select 1", "-- tail"]),
        ("select a$b$c; select $1; x", ["select a$b$c", "select $1", "x"]),
        ("create rule r as on insert to t do also (select f((1)); select 2);x", None),
        (
            "create function f() returns int begin atomic select case when a then 1 end; select 2; end; x",
            ["create function f() returns int begin atomic select case when a then 1 end; select 2; end", "x"],
        ),
        ("begin; select 'atomic'; end; x", ["begin", "select 'atomic'", "end", "x"]),
        ("do $$ begin perform $q$;$q$; end $$; x", ["do $$ begin perform $q$;$q$; end $$", "x"]),
        ("select $$$1;$$; x", ["select $$$1;$$", "x"]),
        ("select 'open; select 2;", ["select 'open; select 2"]),
    ],
)
def test_cuts_where_a_statement_ends(sql: str, expected: list[str] | None) -> None:
    if expected is None:
        expected = [sql.removesuffix(";x"), "x"]
    assert texts(sql) == expected


def test_places_count_lines_and_characters() -> None:
    first, second, third = split("\n  select\n 1;\r\n-- why\n/* é\n */ select 2;   select 3")
    assert (first.line, first.offset, first.code_line) == (2, 3, 2)
    assert (second.line, second.code_line, second.text[second.code_offset :]) == (4, 6, "select 2")
    assert (third.line, third.text) == (6, "select 3")


def test_a_piece_of_comments_only_has_no_code() -> None:
    (piece,) = split("\n-- nothing\n")
    assert piece.code_offset == len(piece.text)
    assert piece.code_line == piece.line == 2


@given(sql_like)
def test_pieces_cover_the_text_and_lose_nothing_but_blanks_and_semicolons(sql: str) -> None:
    done = 0
    for piece in split(sql):
        assert not sql[done : piece.offset].strip(BLANK + ";")
        assert sql.startswith(piece.text, piece.offset)
        assert piece.line == sql.count("\n", 0, piece.offset) + 1
        assert piece.text == piece.text.strip(BLANK)
        assert piece.text
        done = piece.offset + len(piece.text)
    assert not sql[done:].strip(BLANK + ";")


@given(sql_like)
def test_a_piece_is_whole(sql: str) -> None:
    for piece in split(sql)[:-1]:  # what an open quote or comment holds at the end of a file is no statement
        assert texts(piece.text) == [piece.text]


@given(sql_like)
def test_pieces_joined_again_are_cut_at_the_same_places(sql: str) -> None:
    pieces = texts(sql)[:-1]
    assert texts("\n;\n".join(pieces)) == pieces


@given(sql_like)
def test_code_is_the_text_without_comments(sql: str) -> None:
    code = code_only(sql)
    assert len(code) <= len(sql)
    if "--" not in sql and "/*" not in sql:
        assert code == sql


@pytest.mark.parametrize(
    ("sql", "code", "without_strings"),
    [
        ("select 1", "select 1", "select 1"),
        ("a -- b\n c", "a   c", "a   c"),
        ("a /* /* ' */ */ 'x' c", "a   'x' c", "a     c"),
        ("do $$ -- x $$ end", "do $$ -- x $$ end", "do   end"),
        ("select '--', \"--\" -- y", "select '--', \"--\"  ", 'select  , "--"  '),
    ],
)
def test_code_only(sql: str, code: str, without_strings: str) -> None:
    assert code_only(sql) == code
    assert code_only(sql, strings=True) == without_strings


def test_skip_comments_stops_at_the_first_code_character() -> None:
    assert skip_comments("  -- a\n/* b /* c */ */ x") == len("  -- a\n/* b /* c */ */ ")
    assert skip_comments("/* open") == len("/* open")
