"""Advisors: some of the platform's lints, found in the project's real catalog.

Names, levels and the form of `cache_key` are those of supabase/splinter, which the platform runs; the SQL is our own
and covers seven of its lints. Only schemas of the application are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from .model import Call, Refused
from .operations import operation

_DOCS = "https://supabase.com/docs/guides/database/database-linter?lint="
_MANAGED = [
    *("auth", "cron", "extensions", "graphql", "graphql_public", "information_schema", "net", "pgbouncer"),
    *("pg_catalog", "pgmq", "pgsodium", "realtime", "storage", "supabase_functions", "supabase_migrations", "vault"),
]


@dataclass(frozen=True, kw_only=True)
class _Lint:
    """One lint. `sql` gives schema, name, and what else distinguishes a finding, as text."""

    name: str
    number: int
    title: str
    level: str
    category: str
    description: str
    detail: str
    kind: str = "table"
    sql: str


_TABLES = """
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname <> ALL (%(managed)s) AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
"""

_LINTS = (
    _Lint(
        name="rls_disabled_in_public",
        number=13,
        title="RLS Disabled in Public",
        level="ERROR",
        category="SECURITY",
        description="Detects cases where row level security (RLS) has not been enabled on tables in schemas exposed to"
        " PostgREST",
        detail="Table `{0}.{1}` is public, but RLS has not been enabled.",
        sql=f"SELECT n.nspname, c.relname {_TABLES} AND NOT c.relrowsecurity AND n.nspname = ANY (%(exposed)s)"
        " AND (has_table_privilege('anon', c.oid, 'SELECT')"
        " OR has_table_privilege('authenticated', c.oid, 'SELECT'))",
    ),
    _Lint(
        name="policy_exists_rls_disabled",
        number=7,
        title="Policy Exists RLS Disabled",
        level="ERROR",
        category="SECURITY",
        description="Detects cases where row level security (RLS) policies have been created, but RLS has not been"
        " enabled for the underlying table.",
        detail="Table `{0}.{1}` has RLS policies but RLS is not enabled on the table.",
        sql=f"SELECT n.nspname, c.relname {_TABLES} AND NOT c.relrowsecurity"
        " AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)",
    ),
    _Lint(
        name="rls_enabled_no_policy",
        number=8,
        title="RLS Enabled No Policy",
        level="INFO",
        category="SECURITY",
        description="Detects cases where row level security (RLS) has been enabled on a table but no RLS policies have"
        " been created.",
        detail="Table `{0}.{1}` has RLS enabled, but no policies exist",
        sql=f"SELECT n.nspname, c.relname {_TABLES} AND c.relrowsecurity"
        " AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)",
    ),
    _Lint(
        name="security_definer_view",
        number=10,
        title="Security Definer View",
        level="ERROR",
        category="SECURITY",
        kind="view",
        description="Detects views defined with the SECURITY DEFINER property.",
        detail="View `{0}.{1}` is defined with the SECURITY DEFINER property",
        sql="SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'v' AND n.nspname = ANY (%(exposed)s)"
        " AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid"
        " AND deptype = 'e')"
        " AND NOT coalesce(c.reloptions::text[] && ARRAY['security_invoker=true', 'security_invoker=on',"
        " 'security_invoker=1', 'security_invoker=yes'], false)"
        " AND has_table_privilege('anon', c.oid, 'SELECT')",
    ),
    _Lint(
        name="function_search_path_mutable",
        number=11,
        title="Function Search Path Mutable",
        level="WARN",
        category="SECURITY",
        kind="function",
        description="Detects functions where the search_path parameter is not set.",
        detail="Function `{0}.{1}` has a role mutable search_path",
        sql="SELECT n.nspname, p.proname, md5(p.prosrc) FROM pg_proc AS p JOIN pg_namespace AS n"
        " ON n.oid = p.pronamespace"
        " WHERE p.prokind IN ('f', 'p') AND n.nspname <> ALL (%(managed)s) AND n.nspname !~ '^pg_'"
        " AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid"
        " AND deptype = 'e')"
        " AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS one WHERE one LIKE 'search_path=%%')",
    ),
    _Lint(
        name="unindexed_foreign_keys",
        number=1,
        title="Unindexed foreign keys",
        level="INFO",
        category="PERFORMANCE",
        description="Identifies foreign key constraints without a covering index, which can impact database"
        " performance.",
        detail="Table `{0}.{1}` has a foreign key `{2}` without a covering index.",
        sql="SELECT n.nspname, c.relname, f.conname, f.conkey::int[]"
        + _TABLES.replace("WHERE", "JOIN pg_constraint AS f ON f.conrelid = c.oid AND f.contype = 'f' WHERE", 1)
        + " AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indpred IS NULL"
        " AND (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey)",
    ),
    _Lint(
        name="no_primary_key",
        number=4,
        title="No Primary Key",
        level="INFO",
        category="PERFORMANCE",
        description="Detects if a table does not have a primary key.",
        detail="Table `{0}.{1}` does not have a primary key",
        sql=f"SELECT n.nspname, c.relname {_TABLES}"
        " AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)",
    ),
)


@operation("v1-get-security-advisors")
async def security(call: Call) -> dict[str, Any]:
    return {"lints": await _found(call, "SECURITY")}


@operation("v1-get-performance-advisors")
async def performance(call: Call) -> dict[str, Any]:
    return {"lints": await _found(call, "PERFORMANCE")}


@operation("v2-run-project-advisors")
async def run(call: Call) -> dict[str, Any]:
    """The lints that are named, of both kinds."""
    wanted = {one["name"] for one in call.body["data"]["attributes"]["lints"]}
    found = [one for kind in ("SECURITY", "PERFORMANCE") for one in await _found(call, kind) if one["name"] in wanted]
    return {"data": {"type": "project_advisors", "attributes": {"lints": found}}}


async def _found(call: Call, category: str) -> list[dict[str, Any]]:
    project = call.project
    values = {"managed": _MANAGED, "exposed": [one.strip() for one in project.schemas.split(",")]}
    found: list[dict[str, Any]] = []
    try:
        async with await psycopg.AsyncConnection.connect(project.admin_url, connect_timeout=10) as connection:
            for lint in _LINTS:
                if lint.category == category:
                    cursor = await connection.execute(f"{lint.sql} ORDER BY 1, 2".encode(), values)
                    found += [_as_answered(lint, row) for row in await cursor.fetchall()]
    except psycopg.OperationalError as error:
        raise Refused(544, "Connection terminated due to connection timeout") from error
    return found


def _as_answered(lint: _Lint, row: tuple[Any, ...]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"schema": row[0], "name": row[1], "type": lint.kind}
    if lint.name == "unindexed_foreign_keys":
        metadata |= {"fkey_name": row[2], "fkey_columns": row[3]}
    return {
        "name": lint.name,
        "title": lint.title,
        "level": lint.level,
        "facing": "EXTERNAL",
        "categories": [lint.category],
        "description": lint.description,
        "detail": lint.detail.format(*row),
        "remediation": f"{_DOCS}{lint.number:04}_{lint.name}",
        "metadata": metadata,
        "cache_key": "_".join([lint.name, *(str(part) for part in row[:3])]),
    }
