"""What the catalogs of Postgres say of each object: how it is told from others, set back, removed, and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

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


def in_place(before: CatalogObject, now: CatalogObject) -> tuple[str, ...]:
    """SQL that gives an object the settings that it had; nothing if they are the same.

    Args:
        before: what it was, with the same definition.
        now: what it is.
    """
    names = [name for name in before.settings | now.settings if before.settings.get(name) != now.settings.get(name)]
    cleared = [now.clear[name] for name in reversed(names) if name in now.clear]
    return (*cleared, *(before.settings[name] for name in names if name in before.settings))


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
