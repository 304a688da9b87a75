"""Undoing by difference: what is dropped, made again, set back and loaded again, so that the database is as it was.

PostgreSQL's own rules of what goes when something is dropped are followed over `pg_depend`
(documentation, "pg_depend"; `findDependentObjects` in src/backend/catalog/dependency.c).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from pydantic import Field

from agent.core.archive_list import Entry
from agent.core.catalog import CatalogObject, digest, in_place
from agent.core.models import Model

Node = tuple[int, int, int]
"""An object, or a column of one: OID of its catalog, its own OID, its column number or 0."""

# OIDs of system catalogs; they are the same in every database (src/include/catalog/pg_*.h).
PG_CLASS, PG_ATTRDEF = 1259, 2604

_INHERITED = " INHERITED"  # see sql/catalog/objects/constraints.sql

ELSEWHERE = frozenset(
    {
        "cast",
        "default privileges",
        "event trigger",
        "extension",
        "foreign data wrapper",
        "foreign server",
        "publication",
        "publication member",
        "publication schema",
    }
)
"""Kinds that the backup holds beside the archive; see `core.backups.outside_changes`."""


class Edge(NamedTuple):
    """A row of pg_depend: the first needs the second."""

    classid: int
    objid: int
    objsubid: int
    refclassid: int
    refobjid: int
    refobjsubid: int
    deptype: str

    @property
    def dependent(self) -> Node:
        """Who needs."""
        return (self.classid, self.objid, self.objsubid)

    @property
    def needed(self) -> Node:
        """What is needed."""
        return (self.refclassid, self.refobjid, self.refobjsubid)


class Undo(Model):
    """What has to be done; objects by identity.

    `drops`: SQL that drops present objects. `again`: objects of before to make again.
    `early`, `late`: SQL that sets back what stays, before and after the others are made. `hit`: catalog and OID of all
    that goes as a whole. `blocked`: what would go along and could not be brought back; if there is any, nothing may be
    done. `lines`: for people.
    """

    lines: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    hit: frozenset[tuple[int, int]] = frozenset()
    blocked: tuple[Node, ...] = ()


class Dependencies:
    """`pg_depend`, to be asked what goes when something is dropped."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self._dependents: defaultdict[tuple[int, int], list[Edge]] = defaultdict(list)
        self._owners: defaultdict[Node, list[Edge]] = defaultdict(list)
        for edge in edges:
            self._dependents[edge.needed[:2]].append(edge)
            self._owners[edge.dependent].append(edge)

    def closure(self, roots: Iterable[Node], *, alone: Collection[Node] = ()) -> set[Node]:
        """All that goes when these are dropped with CASCADE.

        Args:
            alone: parts that can be taken from what they belong to, such as a column's identity.
        """
        found: set[Node] = set()
        waiting = list(roots)
        while waiting:
            node = waiting.pop()
            if node in found or (node[0], node[1], 0) in found:
                continue
            found.add(node)
            waiting += [
                edge.dependent
                for edge in self._dependents[node[:2]]
                if node[2] in (0, edge.refobjsubid) and edge.deptype != "e"
            ]
            if node not in alone:
                waiting += [edge.needed for edge in self._owners[node] if edge.deptype == "i"]
        return found

    def heads(self, gone: Collection[Node]) -> set[Node]:
        """What some of these cannot go without, though it would stay.

        An index of a partition goes with its table, or with the partitioned table's index (dependency types P and S).
        """
        found: set[Node] = set()
        for node in gone:
            edges = [edge for edge in self._owners[node] if edge.deptype in "PS"]
            if not any(edge.needed in gone or (*edge.needed[:2], 0) in gone for edge in edges):
                found |= {edge.needed for edge in edges if edge.deptype == "P"}
        return found

    def is_part(self, node: Node, of: Collection[Node]) -> bool:
        """Whether an object is there only as a part of one of these, such as a view's rule or a row type."""
        if node[2]:
            return (*node[:2], 0) in of
        return any(
            edge.deptype in "aiPS" and (edge.needed in of or (*edge.needed[:2], 0) in of) for edge in self._owners[node]
        )

    def column_of_default(self, default: Node) -> Node | None:
        """The column whose default that is (pg_attrdef)."""
        return next((edge.needed for edge in self._owners[default] if edge.refclassid == PG_CLASS), None)


def node_of(item: CatalogObject) -> Node:
    """Where the catalogs have it."""
    return (item.classid, item.objid, item.objsubid)


def plan_undo(
    before: Mapping[str, CatalogObject],
    now: Mapping[str, CatalogObject],
    dependencies: Dependencies,
    *,
    remake: Collection[str] = (),
) -> Undo:
    """Compare the catalogs, and say what makes the second the first.

    Args:
        before: from the backup, of the application's schemas and what hangs on them outside.
        now: of the same schemas, and of those that are new.
        dependencies: of now.
        remake: identities of what is to be made again although it is as it was.
    """
    return _Planner(before, now, dependencies).plan(remake)


class _Planner:
    def __init__(
        self, before: Mapping[str, CatalogObject], now: Mapping[str, CatalogObject], dependencies: Dependencies
    ) -> None:
        self.before = {name: item for name, item in before.items() if not _is_elsewhere(item, before, now)}
        self.now = {name: item for name, item in now.items() if not _is_elsewhere(item, before, now)}
        self.dependencies = dependencies
        self.names: defaultdict[Node, list[str]] = defaultdict(list)
        for name, item in now.items():  # also what is elsewhere: it is known, and comes back by other means
            self.names[node_of(item)].append(name)

    def plan(self, remake: Collection[str]) -> Undo:
        roots = self._roots() | {node_of(self.now[name]) for name in remake}
        alone = {node_of(item) for item in self.now.values() if item.drop}
        while True:
            gone = self.dependencies.closure(roots, alone=alone)
            again = self._again(gone)
            along = self._tables_of_lost_columns(again) | self._owned(again) | self.dependencies.heads(gone)
            if along := {node for node in along if node not in gone}:
                roots |= along
                continue
            early, late = self._set_back(again, self._lost_defaults(gone))
            return Undo(
                lines=tuple(self._lines()),
                drops=tuple(self._drops(gone)),
                again=tuple(sorted(again)),
                early=tuple(early),
                late=tuple(late),
                hit=frozenset(node[:2] for node in gone if not node[2]),
                blocked=tuple(sorted(self._blocked(gone))),
            )

    def _lines(self) -> Iterator[str]:
        """What differs; not the parts of what is new or gone itself."""
        for name in sorted(self.before.keys() | self.now.keys()):
            before, now = self.before.get(name), self.now.get(name)
            if before is None and now is not None and (now.parent in self.before or now.parent not in self.now):
                yield f"{name} is new"
            elif now is None and before is not None and (before.parent in self.now or before.parent not in self.before):
                yield f"{name} is missing"
            elif before is not None and now is not None and digest(before) != digest(now):
                yield f"{name} is altered"

    def _roots(self) -> set[Node]:
        """What is new, and what cannot be set back where it is."""
        new = {node_of(item) for name, item in self.now.items() if name not in self.before}
        other = {
            node_of(self.now[name])
            for name, item in self.before.items()
            if name in self.now and item.kind != "column" and item.definition != self.now[name].definition
        }
        return new | other | self._tables_of_lost_columns(self._differing_columns())

    def _differing_columns(self) -> set[str]:
        return {
            name
            for name, item in self.before.items()
            if item.kind == "column" and (name not in self.now or item.definition != self.now[name].definition)
        }

    def _tables_of_lost_columns(self, names: Collection[str]) -> set[Node]:
        """A column does not come back where it was, so its table is made again."""
        parents = {self.before[name].parent for name in names if self.before[name].kind == "column"}
        return {node_of(self.now[parent]) for parent in parents if parent in self.now}

    def _owned(self, again: Collection[str]) -> set[Node]:
        """Sequences of tables that are made again: the archive makes them along, also those that were let go of."""
        return {
            node_of(self.now[name])
            for name, item in self.before.items()
            if "owned_by" in item.settings
            and name in self.now
            and any(one in self.before and self.before[one].parent in again for one in item.needs)
        }

    def _again(self, gone: Collection[Node]) -> set[str]:
        return {
            name
            for name in self.before
            if name not in self.now or (node := node_of(self.now[name])) in gone or (*node[:2], 0) in gone
        }

    def _drops(self, gone: Collection[Node]) -> list[str]:
        """Not what goes with something else as its part. The order does not matter: each is dropped with CASCADE."""
        return [
            item.drop if item.parent.startswith("column:") else f"{item.drop} CASCADE"  # DROP IDENTITY has no CASCADE
            for item in self.now.values()
            if item.drop and node_of(item) in gone and not self.dependencies.is_part(node_of(item), gone)
        ]

    def _lost_defaults(self, gone: Collection[Node]) -> set[str]:
        """Columns that stay, but whose default goes with a function or a sequence."""
        columns = {self.dependencies.column_of_default(node) for node in gone if node[0] == PG_ATTRDEF}
        return {
            name
            for column in columns
            if column is not None and column not in gone and (*column[:2], 0) not in gone
            for name in self.names[column]
            if name in self.before
        }

    def _set_back(self, again: Collection[str], lost: Collection[str]) -> tuple[list[str], list[str]]:
        """What stays gets its settings: before and after other objects are made again and rows are loaded.

        Functions come first where they can: indexes and generated columns are computed with them. So do schemas, also
        new ones: who may do what in them decides whether others can own what is made there.
        """
        early: list[str] = []
        late: list[str] = []
        for name in again:
            if (schema := self.before[name]).kind == "schema":
                early.extend((f"CREATE SCHEMA {name.removeprefix('schema:')}", *schema.settings.values()))
        for name, item in self.before.items():
            if name in again or name not in self.now:
                continue
            cleared, set_back = in_place(item, self.now[name])
            early.extend(cleared)
            first = item.kind in ("function", "procedure", "schema") and not set(item.needs) & set(again)
            (early if first else late).extend(set_back)
            if name in lost and item.settings.get("default") == self.now[name].settings.get("default"):
                late.append(item.settings["default"])
        opened, shut = owners_let_in(self.before) if again else ((), ())
        return [*early, *opened], [*late, *shut]

    def _blocked(self, gone: Collection[Node]) -> Iterator[Node]:
        """What goes along and is in no backup."""
        for node in gone:
            known = self.names[node] or self.names[(*node[:2], 0)]
            if known or self.dependencies.is_part(node, gone):
                continue
            column = self.dependencies.column_of_default(node) if node[0] == PG_ATTRDEF else None
            if column is None or not self.names[column]:
                yield node


def _is_elsewhere(item: CatalogObject, before: Mapping[str, CatalogObject], now: Mapping[str, CatalogObject]) -> bool:
    """Whether the backup has it beside the archive: also triggers and policies on tables of other schemas."""
    if item.kind in ELSEWHERE:
        return True
    return item.kind in ("trigger", "policy") and item.parent not in before and item.parent not in now


def owners_let_in(before: Mapping[str, CatalogObject]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Schemas whose owner has taken rights in them from itself, without which nothing can be made there.

    Returns:
        SQL that gives them back meanwhile, and SQL that takes them again.
    """
    shut = [
        (name.removeprefix("schema:"), item.settings)
        for name, item in before.items()
        if item.kind == "schema" and item.settings.get("acl", "").startswith("REVOKE ")
    ]
    opened = (f"GRANT ALL ON SCHEMA {name} TO {says['owner'].rpartition(' OWNER TO ')[2]}" for name, says in shut)
    return tuple(opened), tuple(says["acl"] for _, says in shut)


def validated_apart(before: Mapping[str, CatalogObject], again: Collection[str]) -> tuple[str, ...]:
    """SQL that makes inherited checks valid which were so, though their table's parent has them NOT VALID.

    pg_dump writes the parent's behind its children, and then no child has it validated.
    """
    unchecked = {item.definition.removesuffix(_INHERITED) for item in before.values() if item.kind == "constraint"}
    return tuple(
        f"ALTER TABLE {(table := item.parent.removeprefix('relation:'))} VALIDATE CONSTRAINT "
        f"{name.removeprefix(f'constraint:{table}.')}"
        for name, item in before.items()
        if name in again
        and item.kind == "constraint"
        and item.definition.endswith(_INHERITED)
        and f"{item.definition.removesuffix(_INHERITED)} NOT VALID" in unchecked
    )


def _constraint(name: str, item: CatalogObject) -> tuple[str, str]:
    """What a constraint has in common with those that are inherited from it: name and definition."""
    own = name.removeprefix(f"constraint:{item.parent.removeprefix('relation:')}.")
    return own, item.definition.removesuffix(_INHERITED)


class Pieces(Model):
    """What makes objects again.

    `entries`: dump ids of the archive. `create`: SQL for what has no entry of its own. `keys`: foreign keys whose own
    table stays, to be made when the rows are there: identity and SQL. `missing`: what nothing makes again.
    """

    entries: frozenset[int] = frozenset()
    create: tuple[str, ...] = ()
    keys: dict[str, str] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()


def pieces(undo: Undo, before: Mapping[str, CatalogObject], archive: Iterable[Entry]) -> Pieces:
    """Find the objects to be made again in the archive, by the OIDs that they had."""
    by_oid: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for entry in archive:
        if entry.classid:
            by_oid[entry.classid, entry.objid].add(entry.dump_id)
    chosen: set[int] = set()
    create: list[str] = []
    keys: dict[str, str] = {}
    missing: list[str] = []
    again = {_constraint(name, before[name]) for name in undo.again if not before[name].definition.endswith(_INHERITED)}
    for name in undo.again:
        item = before[name]
        if item.kind in ("schema", "invalid index"):
            continue  # made early; or nothing makes it, and it served nobody
        if item.foreign_key and item.parent not in undo.again:
            keys[name] = item.create
        elif found := by_oid[item.classid, item.objid] if not item.objsubid else set():
            chosen |= found
        elif item.parent in undo.again or (item.kind == "trigger" and not item.drop):
            continue  # it is in its table's entry, or a partition's copy
        elif item.definition.endswith(_INHERITED) and _constraint(name, item) in again:
            continue  # it comes with that of the table that it is inherited from
        elif item.create:
            create.append(item.create)
        else:
            missing.append(name)
    return Pieces(entries=frozenset(chosen), create=tuple(create), keys=keys, missing=tuple(missing))
