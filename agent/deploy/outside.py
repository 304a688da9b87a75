"""What belongs to the application but lies outside its schemas: read from the catalog, written as SQL for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import TypeAdapter

from agent import sql
from agent.core.backups import OUTSIDE, OutsideObject
from agent.core.catalog import CatalogObject
from agent.core.statements import dollar_tag
from agent.deploy.snapshot import read_beyond_schemas
from agent.ports import Row, Session

# In the order in which they are made; they are dropped the other way round.
_QUERIES = (
    "extensions",
    "schemas",
    "casts",
    "publications",
    "publication_tables",
    "triggers",
    "policies",
    "event_triggers",
    "default_privileges",
)
_SHARED = ("foreign", "roles", "role_settings", "memberships", "database")
_ROWS = {"bucket": ("storage", "buckets"), "vault secret": ("vault", "secrets")}  # kinds that are rows, and whose
_OWN_WAY = frozenset({"owner", "comment", "label", "acl", "connection limit"})
_LIST = TypeAdapter(list[OutsideObject])

FIRST = frozenset(
    {"extension", "foreign data wrapper", "foreign server", "user mapping", "role", "membership", "database"}
)
"""Kinds that come before the schemas' contents: types may be an extension's, tables a server's, and owned by a role."""


async def read_outside(session: Session, schemas: Sequence[str], *, shared: bool = True) -> list[OutsideObject]:
    """All such objects, in the order in which they can be made.

    Args:
        session: inside a transaction, where they must agree with a snapshot.
        schemas: the application's.
        shared: also those that are the database's or the server's.
    """
    found = []
    async with qualified_names(session):
        for name in _QUERIES:
            found += await session.rows(sql.load(f"backup/outside/{name}"), {"schemas": list(schemas)})
        if await session.value(sql.load("backup/outside/cron_exists")):
            found += await session.rows(sql.load("backup/outside/cron_jobs"))
        others = await _read_shared(session, schemas) if shared else []
    return [
        OutsideObject(
            kind=row["kind"],
            name=row["name"],
            tied=row["tied"],
            create=row["create_sql"],
            drop=row["drop_sql"],
            classid=row.get("classid", 0),
            objid=row.get("objid", 0),
        )
        for row in found
    ] + others


async def _read_shared(session: Session, schemas: Sequence[str]) -> list[OutsideObject]:
    """What is the database's or the server's; SQL that is refused leaves it as it is, for the comparison to name."""
    found = []
    rows = [
        table
        for schema, table in _ROWS.values()
        if await session.value(sql.load("backup/outside/readable"), {"table": f"{schema}.{table}"})
    ]
    for name in (*_SHARED, *rows):
        for row in await session.rows(sql.load(f"backup/outside/{name}"), {}):
            create = _with_options(session, row) if row.get("options") is not None else row["create_sql"]
            found.append(
                OutsideObject(
                    kind=row["kind"],
                    name=row["name"],
                    create=attempt(session, create),
                    drop=attempt(session, row["drop_sql"]),
                    classid=row.get("classid", 0),
                    objid=row.get("objid", 0),
                    shared=True,
                    replaces=row["replaces"],
                )
            )
    for item in await read_beyond_schemas(session, schemas):
        found += _settings(session, item)
    return found


def _settings(session: Session, item: CatalogObject) -> Iterator[OutsideObject]:
    """Owner, comment and privileges of what has a place in no schema; what an event trigger has is in its SQL."""
    for name, statement in item.settings.items():
        if name not in _OWN_WAY or item.kind == "event trigger":
            continue
        yield OutsideObject(
            kind=item.kind,
            name=f"{item.identity.partition(':')[2]}: {name}",
            create=attempt(session, statement),
            drop=attempt(session, item.clear.get(name, "")),
            shared=True,
        )


def _with_options(session: Session, row: Row) -> str:
    """SQL that makes what has options, or gives the one that is there those that it should have."""
    words = {name: row[name] for name in ("options", "present_sql", "create_sql", "alter_sql")}
    return session.bind(sql.load("backup/set_options").replace("{tag}", dollar_tag(*words.values())), words)


def attempt(session: Session, statement: str) -> str:
    """The same, but what the server refuses is left out; "" stays that."""
    if not statement:
        return ""
    text = sql.load("backup/attempt").replace("{tag}", dollar_tag(statement))
    return session.bind(text, {"statement": statement})


async def by_deploy(
    session: Session, before: Sequence[OutsideObject], present: Sequence[OutsideObject]
) -> tuple[list[OutsideObject], list[OutsideObject]]:
    """Both without rows of Supabase's tables that no deploy has written: the application makes and alters such, too."""
    kept: dict[str, set[str]] = {}
    noted = any(item.kind in _ROWS for item in (*before, *present)) and await session.value(sql.load("ledger/exists"))
    for kind, table in _ROWS.items():
        there = {item.name for item in present if item.kind == kind}
        known = {item.name for item in before if item.kind == kind}
        kept[kind] = set()
        if noted and (there or known):
            name = {"name": ".".join(table)}
            [row] = await session.rows(sql.load("ledger/own_rows"), name, names={"table": table})
            kept[kind] = set(row["names"]) | (known - there if row["any"] else set())

    def concerns(item: OutsideObject) -> bool:
        return item.kind not in kept or item.name in kept[item.kind]

    return [item for item in before if concerns(item)], [item for item in present if concerns(item)]


async def publications_of_others(session: Session) -> tuple[str, ...]:
    """How statements begin that change publications of roles that we cannot act for."""
    return tuple(row["begins"] for row in await session.rows(sql.load("restore/publications_of_others")))


def made(session: Session, item: OutsideObject, theirs: tuple[str, ...]) -> str:
    """SQL that makes an object in a restore; what only another role may do is tried, and left out if it is refused.

    Args:
        theirs: see `publications_of_others`.
    """
    return attempt(session, item.create) if of_another(item, theirs) else item.create


def gone(session: Session, item: OutsideObject, theirs: tuple[str, ...]) -> str:
    """SQL that takes one away in a restore; see `made`."""
    return attempt(session, item.drop) if of_another(item, theirs) else item.drop


def of_another(item: OutsideObject, theirs: tuple[str, ...]) -> bool:
    """Whether only another role may make it, or take it away."""
    return (item.kind == "default privileges" and not item.tied) or item.create.startswith(theirs)


async def stored(folder: Path, *, shared: bool = True) -> list[OutsideObject]:
    """All such objects of a backup, from its files; `shared` as of `read_outside`."""
    items = _LIST.validate_json(await asyncio.to_thread((folder / OUTSIDE).read_bytes))
    return [item for item in items if shared or not item.shared]


@asynccontextmanager
async def qualified_names(session: Session) -> AsyncIterator[None]:
    """While this lasts, Postgres writes every name with its schema. After an error nobody uses the session again."""
    [row] = await session.rows(sql.load("backup/search_path"), {"path": ""})
    yield
    await session.rows(sql.load("backup/search_path"), {"path": row["old"]})


def script(items: Iterable[OutsideObject], *, purpose: str) -> str:
    """The objects as a psql script: for people, and for a database that may have some of them already."""
    lines = [f"-- {purpose}"]
    for item in items:
        if item.shared:
            continue
        lines.append(f"\n-- {item.kind}: {' '.join(item.name.split())}")
        if item.kind == "publication":
            lines.append(
                f"SELECT {_literal(item.create)} WHERE NOT EXISTS "  # noqa: S608 - a script for people, quoted
                f"(SELECT FROM pg_publication WHERE pubname = {_literal(item.name)}) \\gexec"
            )
            continue
        if item.kind in {"trigger", "policy", "event trigger"}:
            lines.append(f"{item.drop};")
        lines.append(f"{item.create};")
    return "\n".join(lines) + "\n"


def last_script(items: Sequence[OutsideObject]) -> str:
    """What has to be done after it. The default privileges of Supabase's own roles are Supabase's business."""
    mine = [item for item in items if item.kind not in FIRST and (item.tied or item.kind != "default privileges")]
    return script(mine, purpose="Run this after pg_restore.")


def first_script(items: Sequence[OutsideObject]) -> str:
    """What has to be done before the archive is restored: extensions made, default privileges taken away.

    Those are made again at the end; until then they would add to the grants of every table that is made.
    """
    lines = [script((item for item in items if item.kind in FIRST), purpose="Run this before pg_restore.")]
    for item in items:
        if item.kind == "default privileges" and item.tied:
            body = f"BEGIN {item.drop}; EXCEPTION WHEN invalid_schema_name THEN NULL; END"
            lines.append(f"-- {item.kind} {item.name}\nDO $first$ {body} $first$;\n")
    return "\n".join(lines)


def _literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
