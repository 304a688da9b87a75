"""What was renamed gets its name back: schemas with all that is in them, tables and columns with their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple


class Move(NamedTuple):
    """Who is to be called differently: its number, the name that it has, the one that it gets; names are quoted."""

    number: int
    name: str
    new: str


class Names(NamedTuple):
    """What gives the names back, as SQL; and, by the names that they then have, what tables moved aside were called."""

    statements: tuple[str, ...] = ()
    called: Mapping[str, str] = MappingProxyType({})


class Place(NamedTuple):
    """Where a table is, or what has its name from the same space: both names quoted."""

    schema: str
    name: str

    @property
    def qualified(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"


def moves(before: Mapping[int, str], now: Mapping[int, str], *, ours: Collection[int]) -> tuple[Move, ...]:
    """What gives those of one space the names that they had.

    One that has taken such a name since is moved out of the way first, as `deploy_agent_new_<number>`. One whose name
    is held by one that may not be renamed keeps the one that it has.

    Args:
        before: names by number: the OID of a schema or table, the place of a column.
        now: the same of all that there are.
        ours: numbers of those that may be renamed.

    Returns:
        The moves in their order; none if nothing was renamed.
    """
    moved = {number: name for number, name in before.items() if number in ours and now.get(number, name) != name}
    while True:
        wanted = set(moved.values())
        in_the_way = sorted(number for number, name in now.items() if name in wanted)
        held = {
            now[number] for number in in_the_way if number not in ours or (number in before and number not in moved)
        }
        if not held:
            break
        moved = {number: name for number, name in moved.items() if name not in held}
    aside = {number: f"deploy_agent_new_{number}" for number in in_the_way}
    return (
        *(Move(number, now[number], name) for number, name in aside.items()),
        *(Move(number, aside.get(number, now[number]), name) for number, name in sorted(moved.items())),
    )


def in_two_steps(moved: Collection[Move], *, table: int, inherited: Collection[int]) -> tuple[list[Move], list[Move]]:
    """The same for a column's name that tables which inherit from each other share: first all of them let go of theirs.

    Args:
        moved: what gives the columns of one table their names.
        table: its OID.
        inherited: numbers of columns that go with those of another table.

    Returns:
        The moves for before and for after those of all other tables.
    """
    first: dict[int, str] = {}
    last: dict[int, str] = {}
    for one in moved:
        if one.number not in inherited:
            first.setdefault(one.number, one.name)
            last[one.number] = one.new
    aside = {number: f"deploy_agent_new_{table}_{number}" for number in first}
    return (
        [Move(number, name, aside[number]) for number, name in first.items()],
        [Move(number, aside[number], name) for number, name in last.items()],
    )


def schemas_back(moved: Collection[Move]) -> tuple[str, ...]:
    """SQL for moves of schemas."""
    return tuple(f"ALTER SCHEMA {one.name} RENAME TO {one.new}" for one in moved)


def tables_back(before: Mapping[int, Place], now: Mapping[int, Place], *, ours: Collection[int]) -> Iterator[Move]:
    """What gives tables the names that they had, in the schemas that they have not left.

    Args:
        before: tables by OID.
        now: the same tables, and what else has one of their names; schemas as they are called once they have their
            names back.
        ours: OIDs of those that may be renamed.

    Yields:
        The moves in their order, each from a qualified name.
    """
    for schema in sorted({place.schema for place in before.values()}):
        there = {oid: place.name for oid, place in now.items() if place.schema == schema}
        stayed = {oid: place.name for oid, place in before.items() if place.schema == schema and oid in there}
        for oid, name, new in moves(stayed, there, ours=ours):
            yield Move(oid, Place(schema, name).qualified, new)
