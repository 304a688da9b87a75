"""Locks of a restore: how many it takes, and how it is cut into transactions where the server has no room for all.

Every object that a transaction drops or makes stays locked until it ends. The server has places for
`max_locks_per_transaction * (max_connections + max_prepared_transactions)` locks of everybody (PostgreSQL
documentation, "Lock Management"); what is beyond fails with SQLSTATE 53200. Measured on PostgreSQL 17: a new table
takes three (itself, its TOAST table, that one's index), every other new object one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from agent.core.archive_list import Entry

_SHARE = 0.8  # of the free places: the application needs some too
_OF_KIND = {"TABLE": 3, "MATERIALIZED VIEW": 6}  # a materialized view that is filled has another one beside it
_NO_OBJECT = frozenset(
    {
        "ACL",
        "ACL LANGUAGE",
        "BLOBS",
        "COMMENT",
        "DEFAULT",
        "FK CONSTRAINT",
        "CHECK CONSTRAINT",
        "INDEX ATTACH",
        "MATERIALIZED VIEW DATA",
        "POLICY",
        "ROW SECURITY",
        "RULE",
        "SCHEMA",
        "SECURITY LABEL",
        "SEQUENCE OWNED BY",
        "SEQUENCE SET",
        "TABLE ATTACH",
        "TABLE DATA",
        "TRIGGER",
    }
)
_WITH_THE_ONE_BEFORE = frozenset({"ACL", "COMMENT", "SECURITY LABEL", "SEQUENCE OWNED BY"})
_OF_RELATIONS = ("TABLE ", "COLUMN ", "SEQUENCE ")

_T = TypeVar("_T")


def room(*, places: int, taken: int) -> int:
    """Locks that one transaction of a restore may take.

    Args:
        places: that the server has.
        taken: by everybody together.
    """
    return max(int((places - taken) * _SHARE), 1)


def to_make(entries: Iterable[Entry]) -> int:
    """Locks that the new objects take."""
    return sum(map(_weight, entries))


def _weight(entry: Entry) -> int:
    return 0 if entry.desc in _NO_OBJECT else _OF_KIND.get(entry.desc, 1)


def rights_apart(order: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The rights on tables, views and sequences, apart from everything else.

    Where a restore takes several transactions they come last, when row security is in place: until then only the owner
    can read. The rights on a function stay with it, since a new function can be called by everybody.
    """
    others: list[Entry] = []
    rights: list[Entry] = []
    for entry in order:
        (rights if entry.desc == "ACL" and entry.tag.startswith(_OF_RELATIONS) else others).append(entry)
    return others, rights


def cut(order: Sequence[Entry], *, room: int) -> list[list[Entry]]:
    """Entries in parts that each take no more locks than there is room for, if that is possible at all."""
    by_id = {entry.dump_id: entry for entry in order}
    parts: list[list[Entry]] = [[]]
    locked: set[int] = set()
    used = 0
    for entry in order:
        touched = {entry.dump_id, *(number for number in entry.needs if number in by_id)}  # what it needs is locked too
        more = sum(_weight(by_id[one]) for one in touched - locked)
        if parts[-1] and used + more > room and not _stays(entry):
            parts.append([])
            locked, used = set(), 0
            more = sum(_weight(by_id[one]) for one in touched)
        parts[-1].append(entry)
        locked |= touched
        used += more
    return parts


def _stays(entry: Entry) -> bool:
    """Whether it must commit together with the entry before it."""
    return entry.desc in _WITH_THE_ONE_BEFORE and not (entry.desc == "ACL" and entry.tag.startswith(_OF_RELATIONS))


def cut_drops(drops: Iterable[tuple[_T, int]], *, room: int) -> Iterator[list[_T]]:
    """Statements, each with the locks that it takes, in parts that fit."""
    part: list[_T] = []
    used = 0
    for statement, locks in drops:
        if part and used + locks > room:
            yield part
            part, used = [], 0
        part.append(statement)
        used += locks
    if part:
        yield part
