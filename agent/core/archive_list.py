"""The table of contents of a pg_dump archive: its entries, what belongs to which, and a fast order to restore them in.

Source: PostgreSQL 17, `src/bin/pg_dump` (PrintTOCSummary, pg_dump_sort.c). An entry is `dumpId; tableoid oid DESC
schema tag owner`, in verbose listings with a line `depends on: …` behind it. `tableoid` and `oid` are those of the
system catalog when the archive was written; both are 0 for what has no row of its own there, such as ACL and COMMENT.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from agent.core.models import Model

_LINE = re.compile(r"^(?P<id>\d+); (?P<classid>\d+) (?P<objid>\d+) (?P<rest>.*)$")
_NEEDS = ";\tdepends on:"

# Kinds of more than one word; all others are one word.
_LONG_KINDS = (
    "ACCESS METHOD",
    "ACL LANGUAGE",
    "BLOB COMMENTS",
    "BLOB METADATA",
    "CHECK CONSTRAINT",
    "DATABASE PROPERTIES",
    "DEFAULT ACL",
    "EVENT TRIGGER",
    "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "INDEX ATTACH",
    "MATERIALIZED VIEW DATA",
    "MATERIALIZED VIEW",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PUBLICATION TABLES IN SCHEMA",
    "PUBLICATION TABLE",
    "ROW SECURITY",
    "SECURITY LABEL",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "SHELL TYPE",
    "STATISTICS DATA",
    "SUBSCRIPTION TABLE",
    "TABLE ATTACH",
    "TABLE DATA",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "USER MAPPING",
)
_TABLES = frozenset({"TABLE", "FOREIGN TABLE"})
_RELATIONS = _TABLES | {"VIEW", "MATERIALIZED VIEW"}
_INDEXES = frozenset({"INDEX", "CONSTRAINT"})
_ATTACHED = {"TABLE ATTACH": _TABLES, "INDEX ATTACH": _INDEXES}
_DATA = frozenset({"TABLE DATA", "BLOBS"})
# What pg_dump puts behind the rows ("post-data").
_LATE = frozenset(
    {
        "CONSTRAINT",
        "CHECK CONSTRAINT",
        "FK CONSTRAINT",
        "INDEX",
        "INDEX ATTACH",
        "STATISTICS",
        "STATISTICS DATA",
        "RULE",
        "TRIGGER",
        "EVENT TRIGGER",
        "POLICY",
        "ROW SECURITY",
        "MATERIALIZED VIEW DATA",
        "PUBLICATION",
        "PUBLICATION TABLE",
        "PUBLICATION TABLES IN SCHEMA",
        "SUBSCRIPTION",
        "SUBSCRIPTION TABLE",
    }
)
# Goes and comes with any one of the things it needs.
_OF_ANY = frozenset(
    {
        "ACL",
        "ACL LANGUAGE",
        "COMMENT",
        "SECURITY LABEL",
        "SEQUENCE OWNED BY",
        "SEQUENCE SET",
        "TABLE ATTACH",
        "INDEX ATTACH",
        "TABLE DATA",
        "MATERIALIZED VIEW DATA",
        "STATISTICS DATA",
        "ROW SECURITY",
        "BLOBS",
        "BLOB COMMENTS",
    }
)
# Written as `owner name`: part of the table, view or domain that its tag names first.
_OF_ITS_TAG = frozenset({"DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "POLICY", "RULE"})
# Part of the relation that it needs.
_OF_A_RELATION = frozenset({"INDEX", "STATISTICS"})


class Entry(Model):
    """One entry.

    `dump_id`: its number in the archive. `classid`, `objid`: its row in the system catalog at backup time, or 0; rows
    and row security carry their relation's `objid`, and `classid` 0. `desc`: the kind, for instance `TABLE DATA`.
    `schema_name`: "" outside schemas. `tag`: the name, with line breaks as spaces. `needs`: dump ids,
    also of entries that the archive does not hold. `line`: as listed, for `pg_restore --use-list`.

    `schema_name`, `tag` and `owner` are cut from text without quotes: names with spaces are told apart where another
    entry gives them away. Match by `classid` and `objid`, not by name.
    """

    dump_id: int
    classid: int
    objid: int
    desc: str
    schema_name: str
    tag: str
    owner: str
    needs: tuple[int, ...]
    line: str


def entries(listing: str) -> tuple[Entry, ...]:
    """The entries of `pg_restore --list --verbose`, in the archive's order, which respects what each needs."""
    found: list[tuple[re.Match[str], list[int]]] = []
    for line in listing.split("\n"):
        if match := _LINE.match(line):
            found.append((match, []))
        elif line.startswith(_NEEDS) and found:
            found[-1][1].extend(int(number) for number in line.removeprefix(_NEEDS).split())
    spaced = sorted((name for match, _ in found if " " in (name := _schema_made(match["rest"]))), key=len, reverse=True)
    return tuple(_entry(match, needs, spaced) for match, needs in found)


def _schema_made(rest: str) -> str:
    return rest.removeprefix("SCHEMA - ").rpartition(" ")[0] if rest.startswith("SCHEMA - ") else ""


def _entry(match: re.Match[str], needs: Iterable[int], spaced: Sequence[str]) -> Entry:
    rest = match["rest"]
    desc = next((kind for kind in _LONG_KINDS if rest.startswith(f"{kind} ")), rest.partition(" ")[0])
    named = rest.removeprefix(desc).removeprefix(" ")
    schema = next((name for name in spaced if named.startswith(f"{name} ")), named.partition(" ")[0])
    tag, _, owner = named.removeprefix(schema).removeprefix(" ").rpartition(" ")
    return Entry(
        dump_id=int(match["id"]),
        classid=int(match["classid"]),
        objid=int(match["objid"]),
        desc=desc,
        schema_name="" if schema == "-" else schema,
        tag=tag,
        owner=owner,
        needs=tuple(dict.fromkeys(needs)),
        line=match[0],
    )


def as_listing(entries: Iterable[Entry]) -> str:
    """Entries as `pg_restore --use-list` reads them; it restores in this order."""
    return "".join(f"{entry.line}\n" for entry in entries)


def attached_late(order: Sequence[Entry]) -> list[Entry]:
    """Partitions whose parent is there already are attached when they have their keys and indexes, all valid.

    The parent's are then found on them, and not made a second time (PostgreSQL documentation, ALTER TABLE … ATTACH
    PARTITION); to attach an index once more does nothing.
    """
    tables = {entry.dump_id for entry in order if entry.desc in _TABLES}
    attaching = [entry for entry in order if entry.desc in ("TABLE ATTACH", "INDEX ATTACH")]
    outer = [entry for entry in attaching if len(tables.intersection(entry.needs)) < 2]
    away = {entry.dump_id for entry in outer}
    inner = [entry for entry in attaching if entry.dump_id not in away and entry.desc == "INDEX ATTACH"]
    away.update(entry.dump_id for entry in inner)
    moved = sorted(outer, key=lambda entry: entry.desc == "INDEX ATTACH")  # tables first
    rest = [entry for entry in order if entry.dump_id not in away]
    before = _TABLES | {"CONSTRAINT", "INDEX", "TABLE DATA"}
    place = max((number for number, entry in enumerate(rest, 1) if entry.desc in before), default=0)
    return [*rest[:place], *inner, *moved, *rest[place:]]


def split_at_rows(order: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[Entry]]:
    """Entries in a `fast_order`: those that only make things, and from the first one on that fills or ties them."""
    first = next((place for place, entry in enumerate(order) if entry.desc in _LATE | _DATA), len(order))
    return order[:first], order[first:]


def belongings(entries: Iterable[Entry], chosen: Collection[int]) -> set[int]:
    """What must be restored along with entries because it goes when they are dropped.

    Comments, privileges, labels, defaults, rows, constraints, indexes, statistics, triggers, policies, rules, owned
    sequences, partitions, and the attaching of a partition or of its index on either side. Not what merely uses them,
    such as a view or another table's foreign key.

    Args:
        chosen: dump ids.

    Returns:
        `chosen` and those that belong to them, at any depth.
    """
    everything = list(entries)
    by_id = {entry.dump_id: entry for entry in everything}
    parts: dict[int, list[int]] = defaultdict(list)
    for entry in everything:
        for owner in _owners(entry, by_id):
            parts[owner].append(entry.dump_id)
        for whole, part in _attached(entry, by_id):
            parts[whole].append(part)
    found, left = set(chosen), list(chosen)
    while left:
        new = [part for part in parts[left.pop()] if part not in found]
        found.update(new)
        left += new
    return found


def _owners(entry: Entry, by_id: Mapping[int, Entry]) -> Iterator[int]:
    """The entries that an entry belongs to."""
    needed = [by_id[number] for number in entry.needs if number in by_id]
    if entry.desc in _OF_ANY:
        # The comment of a schema's member needs the member only; that of the schema needs the schema.
        yield from (other.dump_id for other in needed)
    elif entry.desc in _OF_ITS_TAG:
        same = (other for other in needed if other.schema_name == entry.schema_name)
        yield from (other.dump_id for other in same if entry.tag.startswith(f"{other.tag} "))
    elif entry.desc in _OF_A_RELATION:
        yield from (other.dump_id for other in needed if other.desc in _RELATIONS)
    elif entry.desc == "SEQUENCE":
        yield from (other.dump_id for other in needed if other.desc in _TABLES)


def _attached(entry: Entry, by_id: Mapping[int, Entry]) -> Iterator[tuple[int, int]]:
    """The partitioned table or index, and its partition: a DROP of the whole takes the parts along."""
    kinds = _ATTACHED.get(entry.desc, frozenset())
    needed = [by_id[number] for number in entry.needs if number in by_id and by_id[number].desc in kinds]
    parts = {other.dump_id for other in needed if other.tag == entry.tag or other.tag.endswith(f" {entry.tag}")}
    yield from ((other.dump_id, part) for part in parts for other in needed if other.dump_id not in parts)


def fast_order(entries: Iterable[Entry]) -> list[Entry]:
    """An order that costs the server less than pg_dump's own, for a session with `session_replication_role = replica`.

    A foreign key is added while its table is still empty: nothing has to be looked up, and it counts as validated. So
    the tables come parents first: rows, then the keys that others refer to. Where tables refer to each other in a
    circle, or to themselves, the key that closes the circle is added at the end and checks the rows; so does one to a
    table that is not restored, which may have changed. All other indexes, constraints, triggers, rules and policies
    follow the rows, in pg_dump's order.

    Args:
        entries: those to restore, in the archive's order.
    """
    return _Ordering(list(entries)).run()


class _Ordering:
    """The state of one `fast_order`."""

    def __init__(self, chosen: Sequence[Entry]) -> None:
        self._all = chosen
        self._by_id = {entry.dump_id: entry for entry in chosen}
        self._place = {entry.dump_id: place for place, entry in enumerate(chosen)}
        self._done: dict[int, Entry] = {}  # insertion order is the result
        self._unit = self._units()

    def run(self) -> list[Entry]:
        late: set[int] = set()
        for entry in self._all:
            if entry.desc in _LATE | _DATA or not late.isdisjoint(entry.needs):
                late.add(entry.dump_id)
            elif entry.desc != "SEQUENCE SET":
                self._put(entry)
        for rows, keys in self._loads():
            for entry in (*keys, *rows):
                self._put(entry)
        for entry in self._all:
            self._put(entry)
        return list(self._done.values())

    def _put(self, entry: Entry) -> None:
        """An entry, and what it needs before it."""
        stack, seen = [entry], {entry.dump_id}
        while stack:
            top = stack[-1]
            missing = [number for number in top.needs if number in self._by_id and number not in self._done]
            missing = sorted(set(missing) - seen, key=lambda number: self._place[number], reverse=True)
            if missing:
                seen.add(missing[-1])
                stack.append(self._by_id[missing[-1]])
            else:
                self._done.setdefault(stack.pop().dump_id, top)

    def _units(self) -> dict[int, int]:
        """Per table the root of its partition tree: rows of all of them may stand behind one foreign key."""
        parent: dict[int, int] = {}
        tables = {entry.dump_id for entry in self._all if entry.desc in _TABLES}

        def root(number: int) -> int:
            while number in parent:
                number = parent[number]
            return number

        for entry in self._all:
            if entry.desc == "TABLE ATTACH":
                roots = [root(number) for number in entry.needs if number in tables]
                parent.update({other: roots[0] for other in roots[1:] if other != roots[0]})
        return {number: root(number) for number in tables}

    def _loads(self) -> Iterator[tuple[list[Entry], list[Entry]]]:
        """Rows of one table or partition tree after the other, each with the foreign keys to add before them."""
        rows: dict[int, list[Entry]] = defaultdict(list)
        keys: dict[int, list[Entry]] = defaultdict(list)
        parents: dict[int, set[int]] = defaultdict(set)
        for entry in self._all:
            units = {self._unit[number] for number in entry.needs if number in self._unit}
            if entry.desc == "TABLE DATA":
                rows[min(units, default=-entry.dump_id)].append(entry)
            elif entry.desc == "FK CONSTRAINT" and (child := self._child(entry)) is not None:
                keys[child].append(entry)
                parents[child] |= units - {child}
        waiting = dict.fromkeys(rows)
        while waiting:
            # None is free: a circle. The one that waits for the fewest goes first.
            unit = min(waiting, key=lambda one: sum(other in waiting for other in parents[one]))
            del waiting[unit]
            yield rows[unit], [key for key in keys[unit] if not self._waits(key, unit, waiting)]

    def _child(self, key: Entry) -> int | None:
        """The table that a foreign key is on."""
        needed = [self._by_id[number] for number in key.needs if number in self._unit]
        return next(
            (
                self._unit[table.dump_id]
                for table in sorted(needed, key=lambda table: len(table.tag), reverse=True)
                if table.schema_name == key.schema_name and key.tag.startswith(f"{table.tag} ")
            ),
            None,
        )

    def _waits(self, key: Entry, unit: int, waiting: Mapping[int, None]) -> bool:
        """Whether the key must check rows: a table that it refers to has none yet, or lies outside, or is its own."""
        others = [self._unit[number] for number in key.needs if number in self._unit]
        return any(other in waiting for other in others) or others.count(unit) == len(others)
