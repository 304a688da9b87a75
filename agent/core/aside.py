"""A backup into another database: what of it goes there, in which part, and what came of it. Pure decisions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agent.core.archive_list import Entry, as_listing, belongings, entries
from agent.core.backups import Manifest, OutsideObject, choose_entries
from agent.core.compare import Differences, differences
from agent.core.models import Model, Snapshot
from agent.core.splitter import split

# What is not named by itself where a thing is left out: it goes without saying.
_PARTS = frozenset({"ACL", "COMMENT", "TABLE DATA", "SEQUENCE SET", "SEQUENCE OWNED BY", "DEFAULT", "ROW SECURITY"})
# Identities of a snapshot's catalog that lie outside the application's schemas, always or by their table.
_OUTSIDE = frozenset(
    {
        "extension",
        "event trigger",
        "publication",
        "publication member",
        "publication schema",
        "default privileges",
    }
)
_ANYWHERE = frozenset({"trigger", "policy"})
_ADDS_KEY = re.compile(r"ALTER TABLE .* ADD CONSTRAINT .* FOREIGN KEY ", re.DOTALL)


class Aside(Model):
    """A backup that was restored into another database.

    `target`: `host:port/database`. `left_out`: what that database could not take, by name. `unchecked_keys`: foreign
    keys to tables outside the backup that are NOT VALID, since rows that they refer to are missing there. `filled`:
    tables of Supabase's own that got rows. `replaced`: whether it held something before.
    """

    backup_id: str
    target: str
    tables: int
    rows: int
    seconds: float
    replaced: bool = False
    filled: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unchecked_keys: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything arrived."""
        return not self.left_out and not self.unchecked_keys


class Parts(Model):
    """The archive's entries.

    `keys`: foreign keys to tables outside the archive, with their comments, as a listing for `pg_restore --use-list`.
    `left_out`: of roles that the target's role cannot act for, in words; `apart`: the same as `schema.name`, in
    each way that the catalog may write it.
    """

    main: tuple[Entry, ...]
    keys: str
    left_out: tuple[str, ...]
    apart: tuple[str, ...]


def divide(listing: str, manifest: Manifest, *, foreign_owners: Collection[str]) -> Parts:
    """Which entries are restored when.

    Args:
        listing: `pg_restore --list --verbose` of the application's archive.
        foreign_owners: roles of the target that its role cannot act for.
    """
    known = {entry.line: entry for entry in entries(listing)}
    wanted = _chosen(known, choose_entries(listing, existing_schemas=manifest.schemas))
    ours = _chosen(known, choose_entries(listing, existing_schemas=manifest.schemas, foreign_owners=foreign_owners))
    tied = _chosen(known, choose_entries(listing, without_keys=manifest.untied_keys))
    bound = {entry.dump_id for entry in tied}
    untied = {entry.dump_id for entry in ours if entry.desc == "FK CONSTRAINT" and entry.dump_id not in bound}
    keys = belongings(ours, untied)
    mine = {entry.dump_id for entry in ours}
    foreign = [entry for entry in wanted if entry.dump_id not in mine and entry.desc not in _PARTS]
    return Parts(
        main=tuple(entry for entry in ours if entry.dump_id not in keys),
        keys=as_listing(entry for entry in ours if entry.dump_id in keys),
        left_out=tuple(f"{one.desc.lower()} {one.schema_name}.{one.tag} of {one.owner}" for one in foreign),
        apart=tuple(
            f"{schema}.{written}"
            for one in foreign
            for name in {one.tag.partition("(")[0], one.tag.rpartition(" ")[2]}  # `table constraint` is an index, too
            for schema in spellings(one.schema_name)
            for written in spellings(name)
        ),
    )


def _chosen(known: Mapping[str, Entry], listing: str) -> list[Entry]:
    return [known[line] for line in listing.splitlines() if line in known]


def key_statements(script: str) -> list[tuple[str, bool]]:
    """The statements of pg_restore's script for `Parts.keys`, without its settings; whether each adds a foreign key."""
    found = [piece.text[piece.code_offset :] for piece in split(script)]
    return [
        (text, _ADDS_KEY.match(text) is not None) for text in found if text.startswith(("ALTER TABLE ", "COMMENT ON "))
    ]


def in_the_way(
    before: Sequence[OutsideObject], now: Sequence[OutsideObject]
) -> tuple[list[OutsideObject], list[OutsideObject]]:
    """What lies outside in another database: what must go first, and what must be made.

    Unlike `backups.outside_changes`: what the backup does not know stays, since it is that database's own (extensions,
    publications, policies of Supabase), unless it is tied to the application's schemas. Default privileges of other
    roles than the one that took the backup are those roles' business.
    """
    wanted = {(item.kind, item.name): item.create for item in before}
    dropped = [
        item
        for item in now
        if item.tied
        or wanted.get((item.kind, item.name), "" if item.kind == "schema privileges" else item.create) != item.create
    ]
    left = {(item.kind, item.name) for item in now} - {(item.kind, item.name) for item in dropped}
    made = [item for item in before if (item.kind, item.name) not in left]
    return dropped, [item for item in made if item.tied or item.kind != "default privileges"]


def missing(before: Sequence[OutsideObject], now: Sequence[OutsideObject]) -> tuple[str, ...]:
    """What lies outside according to a backup and is not, or not so, in the database now."""
    there = {(item.kind, item.name, item.create) for item in now}
    return tuple(f"{item.kind} {item.name}" for item in before if (item.kind, item.name, item.create) not in there)


def compare(before: Snapshot, after: Snapshot, *, schemas: Collection[str], apart: Collection[str] = ()) -> Differences:
    """What differs in the application's schemas.

    What only the other database has is its own: nothing of ours was there before. What lies outside is compared by
    `missing`.

    Args:
        before: kept in the backup.
        schemas: of the backup.
        apart: names (`schema.name`) of what was left out or made otherwise, and that was said.
    """
    places = tuple(f"{written}." for schema in schemas for written in spellings(schema))

    def compared(identity: str) -> bool:
        kind, _, name = identity.partition(":")
        if kind in _OUTSIDE or (kind in _ANYWHERE and not name.startswith(places)):
            return False
        return not any(name == each or name.startswith((f"{each}.", f"{each}(")) for each in apart)

    kept = {identity: digest for identity, digest in before.catalog.items() if compared(identity)}
    now = {identity: digest for identity, digest in after.catalog.items() if identity in kept}
    nothing: dict[str, Any] = {"outside": {}, "outside_tables": {}, "values": {}}
    return differences(
        before.model_copy(update={"catalog": kept, **nothing}), after.model_copy(update={"catalog": now, **nothing})
    )


def spellings(name: str) -> tuple[str, ...]:
    """How the catalog's snapshot may write an identifier: in quotes, or without where quote_ident sees no keyword."""
    quoted = '"' + name.replace('"', '""') + '"'
    return (quoted, name) if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else (quoted,)
