"""All that can be seen of a database from outside, and what differs between two looks at it.

Made of pg_dump's text and plain queries; nothing here comes from the agent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql as pgsql

from tests.support.oracle import schema_dump

_TITLE = re.compile(r"^-- (Name: .*)$", re.MULTILINE)
_NOISE = ("--", "SET default_tablespace", "SET default_table_access_method")
_LONGEST = 300  # characters of a differing text that are shown

# What pg_dump does not write, or writes only for a whole cluster. Jobs without their ids: a job made again has another.
_FACTS = {
    "invalid index": "SELECT indexrelid::regclass::text, indisready::text FROM pg_index WHERE NOT indisvalid",
    "populated": "SELECT oid::regclass::text, relispopulated::text FROM pg_class WHERE relkind = 'm'",
    "database": "SELECT 'itself', concat_ws('|', datdba::regrole, datacl, datconnlimit) FROM pg_database"
    " WHERE datname = current_database()",
    "setting": "SELECT concat_ws('|', setrole::regrole, setdatabase <> 0), array_to_string(setconfig, '|')"
    " FROM pg_db_role_setting WHERE setdatabase IN"
    " (0, (SELECT oid FROM pg_database WHERE datname = current_database()))",
    "statistics target": "SELECT attrelid::regclass || '.' || attname, attstattarget::text FROM pg_attribute"
    " WHERE attstattarget >= 0 AND NOT attisdropped",
    "job": "SELECT concat_ws('|', username, coalesce(jobname, command)),"
    " concat_ws('|', schedule, command, active, database) FROM cron.job",
    "large object": "SELECT oid::text, concat_ws('|', lomowner::regrole, coalesce(lomacl, acldefault('L', lomowner)),"
    " obj_description(oid, 'pg_largeobject'), md5(lo_get(oid))) FROM pg_largeobject_metadata",
}
_APART = frozenset({"cron.job"})  # told by their facts


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A database at one moment.

    `schema`: pg_dump's text by the title of each entry. `rows`: the rows of each table and filled materialized view as
    COPY writes them, sorted. `sequences`: the next value of each, and its increment. `facts`: what pg_dump leaves out.
    """

    schema: dict[str, str]
    rows: dict[str, list[str]]
    sequences: dict[str, tuple[int, int]]
    facts: dict[str, str]

    def unlike(self, later: Picture) -> list[str]:
        """What is not as it was in `later`, one line each; none: nothing that anybody could tell.

        A sequence may have gone on: PostgreSQL never takes back `nextval`.
        """
        return [
            *_changes(self.schema, later.schema),
            *_changes(self.rows, later.rows),
            *(line for name in self.sequences for line in _set_back(name, self.sequences, later.sequences)),
            *_changes(self.facts, later.facts),
        ]


def take(url: str) -> Picture:
    """Look at a database.

    Args:
        url: as a superuser, who sees all rows.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = ''")
        facts = {
            f"{kind} {name}": value
            for kind, query in _FACTS.items()
            if kind != "job" or connection.execute("SELECT to_regclass('cron.job')").fetchone() != (None,)
            for name, value in connection.execute(query.encode())
        }
        return Picture(
            schema=entries(schema_dump(url)),
            rows=_rows(connection),
            sequences=_sequences(connection),
            facts=facts,
        )


def entries(dump: str) -> dict[str, str]:
    """pg_dump's entries by title, as sets of lines where order means nothing: it follows the OIDs of equals."""
    parts = _TITLE.split(dump)
    found: dict[str, str] = {}
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        lines = [_sorted(line) for line in text.splitlines() if line.strip() and not line.startswith(_NOISE)]
        if "; Type: ACL; " in title or "; Type: DEFAULT ACL; " in title:
            lines.sort()
        found[title] = "\n".join(filter(None, [found.get(title), "\n".join(lines)]))
    return found


def _sorted(line: str) -> str:
    """Storage parameters in one order: they stand in the one in which they were set."""
    if line.startswith("WITH (") and line.endswith(");"):
        return f"WITH ({', '.join(sorted(line[6:-2].split(', ')))});"
    return line


def _rows(connection: psycopg.Connection) -> dict[str, list[str]]:
    tables = connection.execute(
        """
        SELECT n.nspname, c.relname, c.relkind
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE (c.relkind = 'r' OR c.relkind = 'm' AND c.relispopulated)
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND NOT (n.nspname = 'supabase_migrations' AND c.relname LIKE 'deploy\\_agent\\_%')
        """
    ).fetchall()
    found = {}
    for schema, table, kind in tables:
        name = f"{schema}.{table}"
        if name in _APART:
            continue
        copy = pgsql.SQL("COPY (SELECT * FROM {} {}.{}) TO STDOUT").format(
            pgsql.SQL("ONLY" if kind == "r" else ""), pgsql.Identifier(schema), pgsql.Identifier(table)
        )
        with connection.cursor().copy(copy) as stream:
            found[f"rows of {name}"] = sorted(b"".join(bytes(block) for block in stream).decode().split("\n")[:-1])
    return found


def _sequences(connection: psycopg.Connection) -> dict[str, tuple[int, int]]:
    found = {}
    for schema, name, increment in connection.execute(
        "SELECT n.nspname, c.relname, s.seqincrement FROM pg_sequence AS s"
        " JOIN pg_class AS c ON c.oid = s.seqrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    ).fetchall():
        state = pgsql.SQL("SELECT last_value, is_called FROM {}").format(pgsql.Identifier(schema, name))
        [(last, called)] = connection.execute(state).fetchall()
        found[f"{schema}.{name}"] = (last + increment if called else last, increment)
    return found


def _set_back(name: str, before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    if name in after:
        was, increment = before[name]
        now, _ = after[name]
        if (now < was) if increment > 0 else (now > was):
            yield f"sequence {name} would give {now}, it would have given {was}"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"missing: {name}"
        elif name not in before:
            yield f"new: {name}: {_short(after[name])}"
        elif before[name] != after[name]:
            gone, come = _apart(before[name], after[name])
            yield f"altered: {name}: {_short(come)} instead of {_short(gone)}"


def _apart(before: Any, after: Any) -> tuple[list[str], list[str]]:
    """The lines that only one of them has."""
    old, new = (value.splitlines() if isinstance(value, str) else list(value) for value in (before, after))
    gone, come = [line for line in old if line not in set(new)], [line for line in new if line not in set(old)]
    return (gone, come) if gone or come else (old, new)  # the order, or how often a line is there


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
