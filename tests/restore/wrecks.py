"""Damage to any database: statements drawn from what its catalog holds, as migrations have them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import psycopg

_APPLICATION = """
    nspname !~ '^pg_' AND nspname <> ALL ('{information_schema,auth,storage,realtime,extensions,vault,graphql,
    graphql_public,cron,net,supabase_migrations,supabase_functions,pgbouncer}')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = o.oid AND d.deptype = 'e')
"""


class _Kind(NamedTuple):
    """Things of one kind, a row each, and what happens to them; `{n}` is a number of its own."""

    often: int
    query: str
    statements: tuple[str, ...]


_KINDS = (
    _Kind(
        16,
        "SELECT o.oid::regclass AS it FROM pg_class AS o JOIN pg_namespace AS n ON n.oid = relnamespace"
        f" WHERE relkind IN ('r', 'p') AND {_APPLICATION}",
        (
            "DROP TABLE {it} CASCADE",
            "DROP TABLE {it} CASCADE",
            "ALTER TABLE {it} ADD COLUMN added_{n} int DEFAULT 7",
            "ALTER TABLE {it} RENAME TO renamed_{n}",
            "ALTER TABLE {it} DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE {it} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "ALTER TABLE {it} DISABLE TRIGGER USER",
            "ALTER TABLE {it} REPLICA IDENTITY FULL",
            "ALTER TABLE {it} SET UNLOGGED",
            "ALTER TABLE {it} SET (fillfactor = 40)",
            "ALTER PUBLICATION supabase_realtime ADD TABLE {it}",
            "REVOKE ALL ON {it} FROM anon, authenticated, service_role",
            "GRANT ALL ON {it} TO PUBLIC",
            "COMMENT ON TABLE {it} IS 'new'",
            "CREATE POLICY new_{n} ON {it} FOR SELECT TO anon USING (true)",
            "CREATE VIEW view_{n} AS SELECT * FROM {it}",
            "CREATE TABLE like_{n} (LIKE {it} INCLUDING ALL)",
            "DELETE FROM {it}",
            "TRUNCATE {it} RESTART IDENTITY CASCADE",
            "INSERT INTO {it} SELECT * FROM {it} LIMIT 3",
            "DELETE FROM {it} WHERE ctid IN (SELECT ctid FROM {it} LIMIT 2)",
        ),
    ),
    _Kind(
        12,
        "SELECT o.oid::regclass AS it, quote_ident(attname) AS part FROM pg_attribute AS a"
        " JOIN pg_class AS o ON o.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace"
        f" WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped AND {_APPLICATION}",
        (
            "ALTER TABLE {it} DROP COLUMN {part} CASCADE",
            "ALTER TABLE {it} DROP COLUMN {part} CASCADE",
            "ALTER TABLE {it} RENAME COLUMN {part} TO renamed_{n}",
            "ALTER TABLE {it} ALTER COLUMN {part} TYPE text USING {part}::text",
            "ALTER TABLE {it} ALTER COLUMN {part} DROP DEFAULT, ALTER COLUMN {part} DROP NOT NULL",
            "ALTER TABLE {it} ALTER COLUMN {part} SET NOT NULL",
            "ALTER TABLE {it} ALTER COLUMN {part} DROP IDENTITY IF EXISTS",
            "ALTER TABLE {it} ALTER COLUMN {part} DROP EXPRESSION IF EXISTS",
            "ALTER TABLE {it} ALTER COLUMN {part} SET STATISTICS 77",
            "COMMENT ON COLUMN {it}.{part} IS 'it''s changed'",
            "REVOKE ALL ({part}) ON {it} FROM anon, authenticated",
            "GRANT UPDATE ({part}) ON {it} TO anon",
            "UPDATE {it} SET {part} = NULL",
            "UPDATE {it} SET {part} = DEFAULT",
            "CREATE INDEX ON {it} ({part})",
        ),
    ),
    _Kind(
        8,
        "SELECT o.oid::regprocedure AS it FROM pg_proc AS o JOIN pg_namespace AS n ON n.oid = pronamespace"
        f" WHERE {_APPLICATION}",
        (
            "DROP ROUTINE {it} CASCADE",
            "DROP ROUTINE {it} CASCADE",
            "ALTER ROUTINE {it} SET search_path = ''",
            "ALTER ROUTINE {it} RESET ALL",
            "ALTER ROUTINE {it} RENAME TO renamed_{n}",
            "ALTER FUNCTION {it} STABLE SECURITY INVOKER COST 7",
            "REVOKE ALL ON ROUTINE {it} FROM PUBLIC, anon, authenticated",
            "COMMENT ON ROUTINE {it} IS 'new'",
        ),
    ),
    _Kind(
        5,
        "SELECT o.oid::regclass AS it, CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS part"
        " FROM pg_class AS o JOIN pg_namespace AS n ON n.oid = relnamespace"
        f" WHERE relkind IN ('v', 'm') AND {_APPLICATION}",
        (
            "DROP {part} {it} CASCADE",
            "ALTER {part} {it} RENAME TO renamed_{n}",
            "REFRESH MATERIALIZED VIEW {it} WITH NO DATA",
            "REVOKE ALL ON {it} FROM anon, authenticated",
        ),
    ),
    _Kind(
        5,
        "SELECT o.oid::regtype AS it, CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END AS part FROM pg_type AS o"
        " JOIN pg_namespace AS n ON n.oid = typnamespace LEFT JOIN pg_class AS c ON c.oid = typrelid"
        f" WHERE (typtype IN ('d', 'e', 'r') OR c.relkind = 'c') AND {_APPLICATION}",
        (
            "DROP {part} {it} CASCADE",
            "ALTER {part} {it} RENAME TO renamed_{n}",
            "ALTER TYPE {it} ADD VALUE 'new_{n}'",
            "ALTER TYPE {it} ADD ATTRIBUTE more int CASCADE",
            "ALTER DOMAIN {it} DROP NOT NULL",
            "ALTER DOMAIN {it} SET DEFAULT NULL",
        ),
    ),
    _Kind(
        4,
        "SELECT conrelid::regclass AS it, quote_ident(conname) AS part FROM pg_constraint AS o"
        f" JOIN pg_namespace AS n ON n.oid = connamespace WHERE conrelid <> 0 AND {_APPLICATION}",
        ("ALTER TABLE {it} DROP CONSTRAINT {part} CASCADE", "ALTER TABLE {it} RENAME CONSTRAINT {part} TO renamed_{n}"),
    ),
    _Kind(
        4,
        "SELECT o.oid::regclass AS it FROM pg_class AS o JOIN pg_namespace AS n ON n.oid = relnamespace"
        f" WHERE relkind = 'S' AND {_APPLICATION}",
        (
            "DROP SEQUENCE {it} CASCADE",
            "ALTER SEQUENCE {it} OWNED BY NONE",
            "ALTER SEQUENCE {it} INCREMENT 5",
            "SELECT setval('{it}', 1, false)",
        ),
    ),
    _Kind(
        3,
        "SELECT tgrelid::regclass AS it, quote_ident(tgname) AS part FROM pg_trigger AS t"
        " JOIN pg_proc AS o ON o.oid = tgfoid JOIN pg_namespace AS n ON n.oid = pronamespace"
        f" WHERE NOT tgisinternal AND {_APPLICATION}",
        ("DROP TRIGGER {part} ON {it}", "ALTER TABLE {it} DISABLE TRIGGER {part}"),
    ),
    _Kind(
        3,
        "SELECT polrelid::regclass AS it, quote_ident(polname) AS part FROM pg_policy",
        (
            "DROP POLICY {part} ON {it}",
            "ALTER POLICY {part} ON {it} TO anon",
            "ALTER POLICY {part} ON {it} USING (false)",
        ),
    ),
    _Kind(
        3,
        f"SELECT quote_ident(nspname) AS it FROM pg_namespace AS o WHERE {_APPLICATION}",
        (
            "REVOKE USAGE ON SCHEMA {it} FROM anon",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {it} GRANT SELECT ON TABLES TO anon",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {it} REVOKE ALL ON TABLES FROM anon",
            "ALTER SCHEMA {it} RENAME TO renamed_{n}",
            "CREATE SCHEMA new_{n}",
        ),
    ),
    _Kind(
        3,
        "SELECT oid AS it FROM pg_largeobject_metadata UNION SELECT 70000",
        (
            "SELECT lo_from_bytea({it} + 1, 'made by {n}')",
            "SELECT lo_from_bytea({it}, 'made by {n}')",
            "SELECT lo_put({it}, 4, 'written by {n}')",
            "SELECT lo_unlink({it})",
            "ALTER LARGE OBJECT {it} OWNER TO authenticated",
            "GRANT SELECT ON LARGE OBJECT {it} TO anon",
            "REVOKE ALL ON LARGE OBJECT {it} FROM PUBLIC, anon",
            "COMMENT ON LARGE OBJECT {it} IS 'new'",
        ),
    ),
)


def wreck(url: str, *, seed: int, files: int, each: int) -> list[str]:
    """Migrations that damage a database, which is left as it is.

    Args:
        url: as the role that deploys.
        seed: another one draws other statements.
        each: statements in a file, at most.
    """
    draw = random.Random(seed)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN")
        drawn = ["".join(f"{one};\n" for one in _accepted(connection, draw, each)) for _ in range(files)]
        connection.execute("ROLLBACK")
    return [text for text in drawn if text]


def _accepted(connection: psycopg.Connection, draw: random.Random, count: int) -> Iterator[str]:
    """Statements that the server takes, run one after the other."""
    for _ in range(10 * count):
        [kind] = draw.choices(_KINDS, [kind.often for kind in _KINDS])
        things = connection.execute(f"{kind.query} ORDER BY 1".encode()).fetchall()
        if not things:
            continue
        words = dict(zip(("it", "part"), draw.choice(things), strict=False))
        statement = draw.choice(kind.statements).format(**words, n=draw.randrange(1000))
        try:
            with connection.transaction():
                connection.execute(statement.encode())
        except psycopg.Error:
            continue
        yield statement
        if (count := count - 1) == 0:
            return
