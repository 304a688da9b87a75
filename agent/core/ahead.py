"""Tables of a full restore that are loaded ahead of it: under other names, several at a time, with keys and indexes.

The restore's own transaction then only has to move them to their place. A table is fit for that if nothing of it hangs
on what the restore drops and makes again: no types, functions or sequences of the application, no values that name its
objects (`regclass` and its kin), no partitions and no inheritance. What is not sure stays out, and is made within the
transaction as before.

Source: PostgreSQL 17, `src/bin/pg_dump` (dumpTableSchema, dumpIndex, dumpConstraint) for what pg_restore writes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.core.archive_list import Entry
from agent.core.splitter import skip_comments, split

_ENTRY = re.compile(r"^-- TOC entry (\d+) \(class \d+ OID \d+\)$", re.MULTILINE)
_HEAP = re.compile(r"^SET default_(?:tablespace = ''|table_access_method = heap)$")
_QUALIFIED = re.compile(r'((?:"(?:[^"]|"")+")|[^".]+)\.(.+)', re.DOTALL)
_SETS = "SET default_"
# Rows that name objects would name those that are dropped.
_UNFIT = re.compile(r"\breg(?:class|proc|procedure|oper|operator|type|role|namespace|config|dictionary|collation)\b")
_ATTACHING = frozenset({"TABLE ATTACH", "INDEX ATTACH"})
KINDS = frozenset({"TABLE", "CONSTRAINT", "INDEX", "FK CONSTRAINT"})
"""Kinds of entries that may be loaded ahead, beside rows."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A foreign key: `sql` adds it, `parent` is the dump id of the table that it refers to."""

    entry: Entry
    sql: str
    parent: int


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table to load ahead.

    `name`: qualified, as pg_dump writes it; `alias`: likewise, its name until it is moved. `bytes`: of its rows in the
    archive. `make`, `keys`, `indexes`: SQL, of the table, of what foreign keys may refer to, of the rest. `early`:
    foreign keys that are added while it is empty, so that no row has to be looked up; `late`: those that close a
    circle. `taken`: dump ids of all that is loaded ahead with it. `names`: of its keys and indexes, which meet those of
    tables of other schemas.
    """

    entry: Entry
    rows: Entry
    name: str
    alias: str
    bytes: int
    make: tuple[str, ...]
    keys: tuple[str, ...]
    indexes: tuple[str, ...]
    taken: frozenset[int]
    names: frozenset[str]
    early: tuple[Key, ...] = ()
    late: tuple[Key, ...] = ()

    @property
    def places(self) -> dict[str, str]:
        """Where it is and where it belongs, as sql/restore/ahead_move.sql calls them."""
        schema, own = _QUALIFIED.fullmatch(self.name).groups()  # type: ignore[union-attr]  # a qualified name is one
        return {"alias": self.alias, "bare": self.alias.partition(".")[2], "schema": schema, "own": own}

    @property
    def parents(self) -> set[int]:
        """The tables whose rows and keys must be there before its own rows."""
        return {key.parent for key in self.early}


def scripts(text: str) -> dict[int, list[str]]:
    """The statements of each entry, by dump id, of what `pg_restore --verbose --file` writes of them.

    Returns:
        Nothing at all where tables are not to lie where tables lie by default.
    """
    head, *parts = _ENTRY.split(text)
    found: dict[int, list[str]] = {}
    for number, part in [("", head), *zip(parts[::2], parts[1::2], strict=True)]:
        statements = [piece.text[skip_comments(piece.text) :].rstrip() for piece in split(part)]
        if not all(_HEAP.match(one) for one in statements if one.startswith(_SETS)):
            return {}
        if number and int(number) in found:
            return {}  # a text of the application's that looks like a mark
        if number:
            found[int(number)] = [one for one in statements if one and not one.startswith((_SETS, "\\"))]
    return found


def frozen(copy: str, table: Table) -> str:
    """The statement with which pg_restore fills a table, for its other name, and so that the rows are written frozen.

    Source: PostgreSQL documentation, "COPY", FREEZE: they need no hint bits, no VACUUM, and no second look by the index
    builds that follow.
    """
    return f"COPY {table.alias} {copy.removeprefix(f'COPY {table.name} ')} WITH (FREEZE)"


def worth(order: Sequence[Entry], sizes: Mapping[int, int], *, least: int) -> set[int]:
    """Tables, by dump id, whose rows take at least `least` bytes in the archive, and tables that those refer to.

    Args:
        order: the entries to restore.
        sizes: bytes of each file of the archive, by dump id.
    """
    tables = {entry.dump_id for entry in order if entry.desc == "TABLE"}
    found = {
        number
        for entry in order
        if entry.desc == "TABLE DATA" and sizes.get(entry.dump_id, 0) >= least
        for number in entry.needs
        if number in tables
    }
    children = [entry for entry in order if entry.desc == "FK CONSTRAINT"]
    while (
        more := {number for key in children if found & {*key.needs} for number in key.needs if number in tables} - found
    ):
        found |= more
    return found


def chosen(
    order: Sequence[Entry],
    texts: Mapping[int, Sequence[str]],
    names: Mapping[int, str],
    sizes: Mapping[int, int],
    *,
    role: str,
    least: int,
) -> list[Table]:
    """The tables to load ahead, parents first.

    Args:
        order: the entries to restore.
        texts: what pg_restore writes of entries, from `scripts`.
        names: qualified names of tables, by OID.
        sizes: bytes of each file of the archive, by dump id.
        role: who restores: only its own tables are loaded ahead.
        least: bytes of rows in the archive that make it worth while.
    """
    parts: dict[int, list[Entry]] = defaultdict(list)
    for entry in order:
        for number in dict.fromkeys(entry.needs):
            parts[number].append(entry)
    schemas = {entry.dump_id for entry in order if entry.desc == "SCHEMA"}
    known = {entry.dump_id for entry in order} - schemas
    wanted = worth(order, sizes, least=least)
    tables: dict[int, Table] = {}
    names_seen: set[str] = set()
    for entry in order:
        if entry.dump_id in wanted and entry.owner == role and (name := names.get(entry.objid)) is not None:
            alias = f"supabase_migrations.deploy_agent_ahead_{len(tables) + 1}"
            table = _table(entry, parts[entry.dump_id], texts, name=name, alias=alias, known=known, sizes=sizes)
            if table is not None and names_seen.isdisjoint(table.names):
                tables[entry.dump_id] = table
                names_seen |= table.names
    return list(_ordered(tables, {number: list(_foreign(one, parts, texts, tables)) for number, one in tables.items()}))


def _table(
    entry: Entry,
    parts: Iterable[Entry],
    texts: Mapping[int, Sequence[str]],
    *,
    name: str,
    alias: str,
    known: set[int],
    sizes: Mapping[int, int],
) -> Table | None:
    """A table that hangs on nothing else in the archive, with what hangs on it alone; None if it is not fit."""
    mine = list(parts)
    rows = [one for one in mine if one.desc == "TABLE DATA"]
    attached = any(one.desc in _ATTACHING or one.desc == "TABLE" for one in mine)
    make = _made(texts.get(entry.dump_id, ()), name, alias)
    if len(rows) != 1 or attached or not make or known & {*entry.needs} or _UNFIT.search(make[0]):
        return None
    alone = [one for one in mine if known & {*one.needs} <= {entry.dump_id}]
    keys = {one.dump_id: sql for one in alone if one.desc == "CONSTRAINT" and (sql := _key(texts, one, name, alias))}
    indexes = {one.dump_id: sql for one in alone if one.desc == "INDEX" and (sql := _index(texts, one, name, alias))}
    return Table(
        entry=entry,
        rows=rows[0],
        name=name,
        alias=alias,
        bytes=sizes.get(rows[0].dump_id, 0),
        make=make,
        keys=tuple(keys.values()),
        indexes=tuple(indexes.values()),
        taken=frozenset({entry.dump_id, rows[0].dump_id, *keys, *indexes}),
        names=frozenset(one.tag for one in alone if one.dump_id in keys or one.dump_id in indexes),
    )


def _made(statements: Sequence[str], name: str, alias: str) -> tuple[str, ...]:
    """The statements that make a table, under another name; nothing if there is one that is not known."""
    found = []
    for one in statements:
        if one.startswith(f"ALTER TABLE {name} OWNER TO "):
            continue  # it is made by its owner
        for head in (
            f"CREATE TABLE {name} (",
            f"CREATE UNLOGGED TABLE {name} (",
            f"ALTER TABLE ONLY {name} ALTER COLUMN ",
            f"ALTER TABLE ONLY {name} REPLICA IDENTITY ",
        ):
            if one.startswith(head):
                found.append(head.replace(name, alias) + one.removeprefix(head))
                break
        else:
            return ()
    return tuple(found)


def _key(texts: Mapping[int, Sequence[str]], entry: Entry, name: str, alias: str) -> str:
    """The one statement that adds a constraint, about the table under its other name."""
    head = f"ALTER TABLE ONLY {name}\n    ADD CONSTRAINT "
    statements = texts.get(entry.dump_id, ())
    if len(statements) != 1 or not statements[0].startswith(head):
        return ""
    return head.replace(name, alias) + statements[0].removeprefix(head)


def _index(texts: Mapping[int, Sequence[str]], entry: Entry, name: str, alias: str) -> str:
    statements = texts.get(entry.dump_id, ())
    on = f" ON {name} USING "
    if len(statements) != 1 or statements[0].count(on) != 1:
        return ""
    return statements[0].replace(on, f" ON {alias} USING ")


def _foreign(
    table: Table, parts: Mapping[int, Sequence[Entry]], texts: Mapping[int, Sequence[str]], tables: Mapping[int, Table]
) -> Iterator[Key]:
    """Foreign keys of a table to itself and to others that are loaded ahead with the key that they refer to."""
    for entry in parts[table.entry.dump_id]:
        if entry.desc != "FK CONSTRAINT" or not (text := _key(texts, entry, table.name, table.alias)):
            continue
        for number in {*entry.needs} & tables.keys():
            parent = tables[number]
            to = f" REFERENCES {parent.name}("
            if text.count(to) == 1 and (table.taken | parent.taken).issuperset(entry.needs):
                yield Key(entry=entry, sql=text.replace(to, f" REFERENCES {parent.alias}("), parent=number)


def _ordered(tables: Mapping[int, Table], keys: Mapping[int, Sequence[Key]]) -> Iterator[Table]:
    """Parents first; where tables refer to each other in a circle, the key that closes it is late."""
    waiting = dict.fromkeys(sorted(tables, key=lambda number: -tables[number].bytes))
    done: set[int] = set()
    while waiting:
        number = min(waiting, key=lambda one: sum(key.parent in waiting and key.parent != one for key in keys[one]))
        del waiting[number]
        early = tuple(key for key in keys[number] if key.parent in done)
        late = tuple(key for key in keys[number] if key.parent not in done)
        done.add(number)
        table = tables[number]
        taken = table.taken | {key.entry.dump_id for key in keys[number]}
        yield replace(table, early=early, late=late, taken=taken)
