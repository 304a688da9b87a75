"""A database with rows as an application has them, for backup and snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pydantic import SecretStr

from agent.edges.embedded import embedded_postgres
from agent.edges.target import PsycopgTarget

TABLES = 4
# Keys, times, text, JSON, arrays; about 300 bytes a row.
_TABLE = """
CREATE TABLE public.posts_{n} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner uuid NOT NULL, created_at timestamptz NOT NULL,
    title text NOT NULL, likes int NOT NULL, details jsonb, tags text[]
)"""
_ROWS = """
INSERT INTO public.posts_{n} (owner, created_at, title, likes, details, tags)
SELECT gen_random_uuid(), '2026-01-01'::timestamptz + i * interval '1 s', 'post ' || md5(i::text), i % 1000,
    jsonb_build_object('n', i, 'mood', i % 7, 'text', md5((i + 1)::text)), ARRAY[md5((i % 100)::text), 'tag' || i % 10]
FROM generate_series(1, {rows}) AS i"""
_ROWS_A_MEGABYTE = 3400


class Clock:
    """The machine's time; implements `ports.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def filled_database(megabytes: int) -> AsyncIterator[tuple[str, int]]:
    """A server with one database of about that size; its URL and the bytes of its tables."""
    async with embedded_postgres() as server:
        await server.create_database("bench")
        await server.bootstrap_supabase("bench")
        url = server.url("bench")
        async with PsycopgTarget(SecretStr(url)).session(purpose="bench") as session:
            for n in range(TABLES):
                await session.run(_TABLE.format(n=n))
                await session.run(_ROWS.format(n=n, rows=megabytes * _ROWS_A_MEGABYTE // TABLES))
                await session.run(f"VACUUM (ANALYZE, FREEZE) public.posts_{n}")
            size = await session.value(
                "SELECT sum(pg_table_size(oid))::bigint FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind = 'r'"
            )
        yield url, size
