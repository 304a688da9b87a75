"""SQL through the API, the migration history, and temporary login roles: all on the project's real database."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

import psycopg
from psycopg import sql as pgsql

from . import sqlquery
from .model import Call, Refused
from .operations import operation
from .project import now

LOGIN_ROLE_TTL_S = 300


@operation("v1-run-a-query")
async def query(call: Call) -> list[dict[str, Any]]:
    role = "supabase_read_only_user" if call.body.get("read_only") else "postgres"
    return await sqlquery.run(
        call.project.url(role),
        call.body["query"],
        call.body.get("parameters"),
        read_only=bool(call.body.get("read_only")),
    )


@operation("v1-read-only-query")
async def read_only_query(call: Call) -> list[dict[str, Any]]:
    url = call.project.url("supabase_read_only_user")
    return await sqlquery.run(url, call.body["query"], call.body.get("parameters"), read_only=True)


_HISTORY = """
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations (version text PRIMARY KEY);
ALTER TABLE supabase_migrations.schema_migrations
    ADD COLUMN IF NOT EXISTS statements text[],
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS created_by text,
    ADD COLUMN IF NOT EXISTS idempotency_key text UNIQUE,
    ADD COLUMN IF NOT EXISTS rollback text[];
"""


@operation("v1-list-migration-history")
async def list_migrations(call: Call) -> list[dict[str, Any]]:
    rows = await _rows(
        call,
        "SELECT version, to_jsonb(m) ->> 'name' AS name FROM supabase_migrations.schema_migrations AS m ORDER BY 1",
    )
    return [{"version": row["version"], "name": row["name"] or ""} for row in rows]


@operation("v1-get-a-migration")
async def get_migration(call: Call) -> dict[str, Any]:
    return await _migration(call, call.path["version"])


async def _migration(call: Call, version: str) -> dict[str, Any]:
    rows = await _rows(
        call,
        "SELECT to_jsonb(m) AS row FROM supabase_migrations.schema_migrations AS m WHERE version = $1",
        [version],
    )
    if not rows:
        raise Refused(404, "Migration not found")
    found = {name: value for name, value in rows[0]["row"].items() if value is not None}
    return {name: found[name] for name in _MIGRATION_FIELDS if name in found}


_MIGRATION_FIELDS = ("version", "name", "statements", "rollback", "created_by", "idempotency_key")


async def _rows(call: Call, text: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
    """Rows of the history; none while there is no history."""
    url = call.project.url()
    [found] = await sqlquery.run(url, "SELECT to_regclass('supabase_migrations.schema_migrations') IS NOT NULL AS is")
    return await sqlquery.run(url, text, parameters) if found["is"] else []


@operation("v1-apply-a-migration")
async def apply_migration(call: Call) -> None:
    """Run and record in one transaction; the version is the server's own, the time of the call."""
    await _record(call, run=True)


@operation("v1-upsert-a-migration")
async def upsert_migration(call: Call) -> None:
    await _record(call, run=False)


async def _record(call: Call, *, run: bool) -> None:
    statement, key = call.body["query"], call.headers.get("idempotency-key")
    rollback = call.body.get("rollback")
    try:
        async with await psycopg.AsyncConnection.connect(call.project.url(), connect_timeout=10) as connection:
            await connection.execute(_HISTORY)
            cursor = await connection.execute(
                "SELECT 1 FROM supabase_migrations.schema_migrations WHERE idempotency_key = %s", [key]
            )
            if key is not None and await cursor.fetchone():
                return
            if run:
                await connection.execute(statement.encode())
            await connection.execute(
                "INSERT INTO supabase_migrations.schema_migrations"
                " (version, name, statements, rollback, created_by, idempotency_key)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [
                    await _next_version(connection),
                    call.body.get("name", ""),
                    [statement],
                    [rollback] if rollback else None,
                    f"{call.platform.user}@example.com",
                    key,
                ],
            )
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise Refused(544, "Connection terminated due to connection timeout") from error
        raise Refused(400, sqlquery.in_words(error, statement)) from error


async def _next_version(connection: psycopg.AsyncConnection) -> str:
    """The second of the call, later where that is taken."""
    cursor = await connection.execute("SELECT max(version) FROM supabase_migrations.schema_migrations")
    row = await cursor.fetchone()
    moment = now()
    while row and row[0] and (text := moment.strftime("%Y%m%d%H%M%S")) <= row[0]:
        moment += dt.timedelta(seconds=1)
        if len(row[0]) != len(text):
            break
    return moment.strftime("%Y%m%d%H%M%S")


@operation("v1-create-login-role")
async def create_login_role(call: Call) -> dict[str, Any]:
    """A role that may become `postgres` (or the read-only user) by SET ROLE; its password ends soon."""
    read_only = call.body["read_only"]
    role = f"cli_login_{'supabase_read_only_user' if read_only else 'postgres'}"
    password = secrets.token_urlsafe(24)
    until = now() + dt.timedelta(seconds=LOGIN_ROLE_TTL_S)
    member = "supabase_read_only_user" if read_only else "postgres"
    try:
        async with await psycopg.AsyncConnection.connect(call.project.admin_url, connect_timeout=10) as connection:
            names = {"role": pgsql.Identifier(role), "member": pgsql.Identifier(member)}
            secret = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
            cursor = await connection.execute("SELECT to_regrole(%s) IS NULL", [role])
            row = await cursor.fetchone()
            if row is not None and row[0]:
                await connection.execute(pgsql.SQL("CREATE ROLE {role} NOINHERIT").format(**names))
                await connection.execute(pgsql.SQL("GRANT {member} TO {role}").format(**names))
            await connection.execute(
                pgsql.SQL("ALTER ROLE {role} LOGIN PASSWORD {secret} VALID UNTIL {until}").format(
                    secret=pgsql.Literal(secret), until=pgsql.Literal(until.isoformat()), **names
                )
            )
    except psycopg.OperationalError as error:
        raise Refused(544, "Connection terminated due to connection timeout") from error
    return {"role": role, "password": password, "ttl_seconds": LOGIN_ROLE_TTL_S}


@operation("v1-delete-login-roles")
async def delete_login_roles(call: Call) -> dict[str, Any]:
    try:
        async with await psycopg.AsyncConnection.connect(call.project.admin_url, connect_timeout=10) as connection:
            cursor = await connection.execute(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'cli\_login\_%'")
            for (role,) in await cursor.fetchall():
                name = pgsql.Identifier(role)
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role]
                )
                await connection.execute(pgsql.SQL("DROP ROLE {}").format(name))
    except psycopg.OperationalError as error:
        raise Refused(544, "Connection terminated due to connection timeout") from error
    return {"message": "ok"}
