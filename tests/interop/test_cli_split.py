"""The splitter against the real CLI: `migration repair` stores a file's statements without running anything."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import psycopg

from agent.core.migrations import read_folder
from agent.core.splitter import split
from tests.conftest import Database
from tests.interop.peer import Cli

FUNCTION = "create function f() returns int language plpgsql as "
AWKWARD: dict[str, str | bytes] = {
    # nothing, and almost nothing
    "empty": "",
    "blank": " \t\r\n\n",
    "semicolons": ";;\n;  ;",
    "comment only": "-- nothing here",
    "block comment only": "/* nothing\nhere */",
    "comment after the last": "select 1;\n-- the end\n",
    "comment before the first": "-- the start\n\nselect 1;",
    "comment between": "select 1; -- one\nselect 2; /* two */ select 3",
    "no final semicolon": "select 1;\nselect 2",
    "many final semicolons": "select 1;;;",
    # encodings and line ends
    "byte order mark": b"\xef\xbb\xbfselect 1;select 2;",
    "byte order mark and comment": b"\xef\xbb\xbf-- a\nselect 1;",
    "only a byte order mark": b"\xef\xbb\xbf",
    "crlf": "select 1;\r\n-- a\r\nselect 2;\r\n",
    "lone cr ends a comment": "select 1; -- a\rselect ';' as b;select 2;",
    "no-break spaces around": "\u00a0select 1\u00a0;\u2003select 2\u3000;",
    "line separator around": "\u2028select 1\u2029;",
    "next line is no blank": "select 1\u0085;\u0085",
    "zero width space is no blank": "select 1;\u200bselect 2;\u200b",
    "vertical tab and form feed": "\vselect 1;\fselect 2;\v",
    "emoji and combining": "select '😀;é';select 'e\u0301;';",
    "not utf-8": b"select '\xe9;'; select '\xf0\x9f\x98'; select 2;",
    # strings
    "semicolon in string": "select 'a;b';select 2;",
    "doubled quote": "select 'it''s;';select '''';select '';x;",
    "backslash in plain string": "select 'a\\';select 2;",
    "escape string": r"select E'a\';b';select e'\\';select 3;",
    "escape string with doubled quote": r"select E'a'';\';';select 2;",
    "escape string continued": "select E'a'\n  '\\';b';select 2;",
    "escape string continued over comment": "select E'a' -- ;\n '\\';b';select 2;",
    "escape string not continued on its line": "select E'a' '\\';select 2;",
    "plain string continued": "select 'a'\n'b;\\';select 2;",
    "name that ends in e": r"select namee'a\';select 2;",
    "unicode string": r"select U&'d\0061t;\+000061';select U&\"d;\" from t;",
    "bit strings": "select B'1;0', X'F;F';select 2;",
    "quoted identifier": 'select ";" from "a"";b";select 2;',
    "quotes in quotes": "select '\";' || \"';\";select 2;",
    "unfinished string": "select 1;select 'open; select 3;",
    "unfinished identifier": 'select 1;select "open; select 3;',
    # comments
    "semicolon in comments": "select 1 -- ;\n + /* ; */ 2;select 3;",
    "quote in comments": "select 1 -- don't\n;/* can't */select 2;",
    "nested comment": "/* a /* b; */ c; */ select 1;select 2;",
    "comment opened twice in a row": "/*/* ; */*/select 1;select 2;",
    "slash star slash": "/*/ ; */select 1;select 2;",
    "star slash star": "select 1 /**/*/**/ 2;select 3;",
    "unfinished comment": "select 1;/* open; select 2;",
    "comment marks in a string": "select '--;', '/*;';select 2;",
    "division and minus": "select 4 / 2 - 1;select 3 -1;select 4/-2;",
    "operator with a star": "select 2 */ 3;select 4;",
    "comment in an operator": "select 1 +--;\n2;select 3;",
    # dollar quotes
    "dollar body": FUNCTION + "$$ begin return 1; end; $$;select 2;",
    "tagged body": FUNCTION + "$body$ begin return $$;$$; end; $body$;select 2;",
    "tag in upper and lower case": "select $A$;$a$;$A$;select 2;",
    "tag with digits and letters": "select $t1_é$;$t1$;$t1_é$;select 2;",
    "dollar in a name": "select a$b$ from t;select c$$;select 3;",
    "parameters": "prepare q as select $1, $2;select 3;",
    "parameter and dollar": "select $1;$2;select 3;",
    "empty body": "select $$$$;select 2;",
    "two bodies": "select $$;$$ || $$;$$;select 2;",
    "quotes in a body": "do $$ begin perform 'a;''b'; end $$;select 2;",
    "comment in a body": "do $$ -- don't; $\n begin end $$;select 2;",
    "unfinished body": "select 1;do $$ begin; select 2;",
    "body ends with a semicolon": "do $$begin end;$$;select 2;",
    # parentheses
    "semicolon in parentheses": "create rule r as on insert to t do also (select 1; select 2);select 3;",
    "quote in parentheses": "select (')');select 2;",
    "comment in parentheses": "select (1 -- )\n);select 2;",
    "closed too often": "select 1);select 2;",
    "never closed": "select (1;select 2;",
    "body in parentheses": "select ($$);$$);select 2;",
    # BEGIN ATOMIC
    "atomic": "create function f() returns int begin atomic select 1; select 2; end;select 3;",
    "atomic in capitals over lines": "create function f() returns int\nBEGIN\n\t ATOMIC\nselect 1;\nEND;\nselect 3;",
    "atomic with case": "create function f() returns int begin atomic select case when a then b end; select 2; end; x;",
    "atomic with comments": "create function f() returns int begin atomic select 1; /* end; */ -- end;\n end; x;",
    "atomic with a quoted end": 'create function f() returns int begin atomic select 1 as "end"; end; x;',
    "atomic with parentheses": "create function f() returns int begin atomic select f(1); select (2); end; x;",
    "atomic with a longer word": "create function f() returns int begin atomic select 1; ended; end; x;",
    "atomic is a name": "select atomic from begin_atomic; select 2;",
    "begin and atomic apart": "begin; select atomic; end; select 2;",
    "unfinished atomic": "create function f() returns int begin atomic select 1; select 2;",
    # transactions and psql
    "own transaction": "begin;\ncreate table t ();\ncommit;\n",
    "backslash hides": "select 1 \\; 2;select 3;",
    "psql command": "\\restrict abc\nselect 1;",
    "copy with data": "copy t from stdin;\n1\ta;b\n\\.\nselect 1;",
    "pg-delta mark": "-- pg-delta: transaction=false\nvacuum;\nvacuum;",
    "pg-delta mark behind a byte order mark": b"\xef\xbb\xbf-- pg-delta: transaction=false\r\nvacuum;",
}

# Where the CLI cuts a valid statement in two. It can then not apply the file at all, so nothing is lost by differing.
DIFFERENT: dict[str, tuple[str, list[str], list[str], str]] = {
    "rule with nested parentheses": (
        "create rule r as on insert to t do also (select f(1); select f(2));select 3;",
        ["create rule r as on insert to t do also (select f(1); select f(2))", "select 3"],
        ["create rule r as on insert to t do also (select f(1)", "select f(2))", "select 3"],
        "parentheses nest; to the CLI the first `)` closes them all",
    ),
    "body that starts with a dollar": (
        "select $$$1;$$;select 2;",
        ["select $$$1;$$", "select 2"],
        ["select $$$1", "$$;select 2"],
        "the closing tag begins behind the opening one; the CLI lets both share a `$`",
    ),
    "backslash before a parenthesis": (
        "select (\\);select 2;",
        ["select (\\);select 2"],
        ["select (\\)", "select 2"],
        "no SQL either way; to the CLI a hidden `)` still closes",
    ),
}


def stored_by_the_cli(cli: Cli, files: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Mark all files as applied, and read what the CLI stored for each."""
    cli.write(files)
    versions = [name.partition("_")[0] for name in files]
    assert cli.run("migration", "repair", "--status", "applied", *versions).code == 0
    with psycopg.connect(cli.url) as connection:
        rows = connection.execute("SELECT version, statements FROM supabase_migrations.schema_migrations").fetchall()
    return dict(rows)


def cut_by_us(files: Mapping[str, bytes]) -> dict[str, list[str]]:
    folder = read_folder(files, label="")
    return {one.version: [piece.text for piece in split(one.text)] for one in folder.migrations}


def as_files(texts: Mapping[str, str | bytes]) -> dict[str, bytes]:
    contents = (text if isinstance(text, bytes) else text.encode() for text in texts.values())
    return {f"{number:04}_case.sql": content for number, content in enumerate(contents)}


def soup(seed: int) -> str:
    """Random text out of everything that means something to a splitter, save for what DIFFERENT lists."""
    pieces = random.Random(seed)
    tokens = [
        *("'", '"', ";", ";", "--", "/*", "*/", "\n", "\r", "e'", "E'", "\\", "''", "-", "/", "é", "x", "1"),
        *(" $$ ", " $a$ ", "$1", " begin atomic ", " end;", " case ", "\u00a0", "select 1;", "\r\n", "\t"),
    ]
    return "".join(pieces.choice(tokens) for _ in range(pieces.randint(1, 40)))


def test_awkward_files(supabase_cli: Path, database: Database, tmp_path: Path) -> None:
    assert len(AWKWARD) >= 60
    files = as_files(AWKWARD)
    stored = stored_by_the_cli(Cli(binary=supabase_cli, url=database.url, project=tmp_path), files)
    ours = cut_by_us(files)
    names = dict(zip(ours, AWKWARD, strict=True))
    assert {names[version]: ours[version] for version in ours} == {
        names[version]: stored[version] for version in stored
    }


def test_random_files(supabase_cli: Path, database: Database, tmp_path: Path) -> None:
    files = as_files({str(seed): soup(seed) for seed in range(400)})
    stored = stored_by_the_cli(Cli(binary=supabase_cli, url=database.url, project=tmp_path), files)
    ours = cut_by_us(files)
    different = {name: (files[name], ours[v], stored[v]) for name in files if ours[v := name[:4]] != stored[v]}
    assert different == {}


def test_known_differences(supabase_cli: Path, database: Database, tmp_path: Path) -> None:
    files = as_files({name: sql for name, (sql, *_) in DIFFERENT.items()})
    stored = stored_by_the_cli(Cli(binary=supabase_cli, url=database.url, project=tmp_path), files)
    assert list(cut_by_us(files).values()) == [ours for _, ours, _, _ in DIFFERENT.values()]
    assert [stored[version] for version in sorted(stored)] == [theirs for _, _, theirs, _ in DIFFERENT.values()]


def test_what_the_cli_cannot_apply_the_pieces_can(supabase_cli: Path, database: Database, tmp_path: Path) -> None:
    text = """
        create table t (a int);
        create table log (a int);
        create rule r as on insert to t do also (insert into log values (abs(new.a)); insert into log values (0));
        insert into t values (-1);
    """
    cli = Cli(binary=supabase_cli, url=database.url, project=tmp_path)
    cli.write({"1_rule.sql": text})
    answer = cli.run("db", "push")
    assert (answer.code, "syntax error" in answer.data["error"]["message"]) == (1, True)
    with psycopg.connect(database.url) as connection:
        for piece in split(text):
            connection.execute(piece.text.encode())
        assert connection.execute("SELECT a FROM log ORDER BY a").fetchall() == [(0,), (1,)]
