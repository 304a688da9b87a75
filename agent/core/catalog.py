"""What the catalogs of Postgres say of each object: how it is told from others, set back, removed, and compared."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from pydantic import Field

from agent.core.models import Model


class CatalogObject(Model):
    """One object of a database.

    `identity`: `family:name`, where objects of one family cannot have the same name: tables, views and sequences are
    `relation:…`. `kind`: the word for people. `classid`, `objid`, `objsubid`: where the catalogs of the database that
    was read have it (pg_depend's words); they are no part of what it is. `parent`: the identity of what it is part of.
    `definition`: what can only be changed by making it anew. `settings`: by name, the SQL that sets what can be changed
    in place, in the order in which it must be set. `clear`: by name, the SQL that takes such a setting from it.
    `drop`: the SQL that removes it, without CASCADE; "": it goes with its parent. `create`: the SQL that makes it where
    it does not come from an archive; "" where it only does. `needs`: identities that it depends on.
    Every name in the SQL is qualified.
    """

    identity: str
    kind: str
    classid: int
    objid: int
    objsubid: int = 0
    parent: str = ""
    definition: str = ""
    settings: dict[str, str] = Field(default_factory=dict)
    clear: dict[str, str] = Field(default_factory=dict)
    drop: str = ""
    create: str = ""
    foreign_key: bool = False
    needs: tuple[str, ...] = ()


def digest(item: CatalogObject) -> str:
    """What an object is, in 32 characters; `sql/catalog/digest_columns.sql` computes the same in the database."""
    parts = [item.definition, *(f"{name}={statement}" for name, statement in item.settings.items())]
    return hashlib.md5("\n".join(parts).encode(), usedforsecurity=False).hexdigest()


def in_place(before: CatalogObject, now: CatalogObject) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """SQL that gives an object the settings that it had; nothing if they are the same.

    Args:
        before: what it was, with the same definition.
        now: what it is.

    Returns:
        What takes settings away, and what sets others: to be run in this order.
    """
    names = [name for name in before.settings | now.settings if before.settings.get(name) != now.settings.get(name)]
    cleared = tuple(now.clear[name] for name in reversed(names) if name in now.clear)
    return cleared, tuple(before.settings[name] for name in names if name in before.settings)


def known(objects: Sequence[CatalogObject]) -> dict[str, CatalogObject]:
    """Objects by identity; what each needs, which was told in OIDs, is told in identities.

    Args:
        objects: all that were read; what they need beside these is left out.
    """
    names = {f"{item.classid}.{item.objid}.{item.objsubid}": item.identity for item in objects}
    found = {}
    for item in sorted(objects, key=lambda item: item.identity):
        needs = sorted({names[key] for key in item.needs if key in names})
        found[item.identity] = item.model_copy(update={"needs": tuple(needs)})
    return found


_DEFINITION = "definition"
_NO_MATTER = frozenset({"owner", "comment", "label", "acl", "statistics"})  # what needs the object hardly minds them


class Detail(Model):
    """One thing that differs: `what` is `definition` or a setting's name; the SQL of it, "" where it is not set."""

    what: str
    before: str
    now: str


class Change(Model):
    """An object that was created, dropped or altered, and the identities of what hangs on it, near or far."""

    identity: str
    kind: str
    details: tuple[Detail, ...] = ()
    dependents: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`table public.orders`."""
        return f"{self.kind} {self.identity.partition(':')[2]}"


class CatalogDiff(Model):
    """What differs between two catalogs. Parts of what was created or dropped, such as its columns, are not told."""

    created: tuple[Change, ...] = ()
    dropped: tuple[Change, ...] = ()
    altered: tuple[Change, ...] = ()

    @property
    def none(self) -> bool:
        """Whether the two are equal."""
        return not (self.created or self.dropped or self.altered)


def diff(before: Mapping[str, CatalogObject], now: Mapping[str, CatalogObject]) -> CatalogDiff:
    """Compare two catalogs, each by identity; what hangs on something is looked up where that is."""
    created, dropped = now.keys() - before.keys(), before.keys() - now.keys()
    here, there = _Hanging(now), _Hanging(before)
    altered = []
    for name in sorted(before.keys() & now.keys()):
        if details := tuple(_details(before[name], now[name])):
            matters = not {one.what for one in details} <= _NO_MATTER
            hanging = here.on(name) if matters else ()
            altered.append(Change(identity=name, kind=now[name].kind, details=details, dependents=hanging))
    return CatalogDiff(
        created=tuple(Change(identity=name, kind=now[name].kind) for name in _wholes(created, now)),
        dropped=tuple(
            Change(identity=name, kind=before[name].kind, dependents=there.on(name))
            for name in _wholes(dropped, before)
        ),
        altered=tuple(altered),
    )


def _details(before: CatalogObject, now: CatalogObject) -> Iterator[Detail]:
    if before.definition != now.definition and not _has_moved(before, now):
        yield Detail(what=_DEFINITION, before=before.definition, now=now.definition)
    for name in before.settings | now.settings:
        old, new = before.settings.get(name, ""), now.settings.get(name, "")
        if old != new:
            yield Detail(what=name, before=old, now=new)


def _has_moved(before: CatalogObject, now: CatalogObject) -> bool:
    """Whether a column only has another place, because another column was created or dropped."""
    return before.kind == "column" and before.definition.partition(" ")[2] == now.definition.partition(" ")[2]


def _wholes(names: Collection[str], objects: Mapping[str, CatalogObject]) -> list[str]:
    """Without what is part of another one of them, or belongs to a column of one."""

    def belongs(name: str) -> bool:
        item = objects[name]
        if item.kind == "sequence":
            owner = item.parent or next((one for one in item.needs if one.startswith("column:")), "")
            return owner in names
        return item.parent in names

    return sorted(name for name in names if not belongs(name))


class _Hanging:
    """Who needs what in one catalog."""

    def __init__(self, objects: Mapping[str, CatalogObject]) -> None:
        self._objects = objects
        self._parts: defaultdict[str, list[str]] = defaultdict(list)
        self._dependents: defaultdict[str, list[str]] = defaultdict(list)
        for name, item in objects.items():
            if item.parent:
                self._parts[item.parent].append(name)
            for needed in item.needs:
                self._dependents[needed].append(name)

    def on(self, name: str) -> tuple[str, ...]:
        """Identities of what needs an object or a part of it, and of what needs those; not its own parts."""
        own: set[str] = set()
        self._add(name, own, self._parts)
        found, waiting = set(own), list(own)
        while waiting:
            for dependent in self._dependents[waiting.pop()]:
                more: set[str] = set()
                self._add(dependent, more, self._parts)
                waiting += more - found
                found |= more
        return tuple(_wholes(found - own, self._objects))

    @staticmethod
    def _add(name: str, into: set[str], parts: Mapping[str, list[str]]) -> None:
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in into:
                into.add(one)
                waiting += parts.get(one, ())
