"""A database as an application has it: twenty tables with foreign keys and indexes, for the restore."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from agent.edges.embedded import embedded_postgres
from agent.edges.target import PsycopgTarget
from agent.ports import Session


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, its rows for each megabyte of the whole, and the tables that its foreign keys point at.

    `wide`: with texts, JSON and arrays, about 300 bytes a row; else numbers, a time and a word, about 80 bytes.
    """

    name: str
    rows: float
    parents: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ("created_at",)
    wide: bool = False


# `orders` has a seventh of all bytes.
SHOP = (
    Table(name="countries", rows=0.1),
    Table(name="currencies", rows=0.1),
    Table(name="customers", rows=250, parents=("countries",), indexes=("owner", "lower(title)"), wide=True),
    Table(name="addresses", rows=300, parents=("customers", "countries")),
    Table(name="suppliers", rows=10, parents=("countries",), wide=True),
    Table(name="categories", rows=1, wide=True),
    Table(name="products", rows=100, parents=("categories", "suppliers"), indexes=("lower(title)",), wide=True),
    Table(name="prices", rows=300, parents=("products", "currencies")),
    Table(name="warehouses", rows=0.1, parents=("countries",)),
    Table(name="stock", rows=300, parents=("products", "warehouses")),
    Table(name="carts", rows=200, parents=("customers",)),
    Table(name="cart_items", rows=500, parents=("carts", "products")),
    Table(name="orders", rows=1550, parents=("customers", "addresses", "currencies")),
    Table(name="order_items", rows=1800, parents=("orders", "products"), indexes=()),
    Table(name="payments", rows=1200, parents=("orders", "currencies")),
    Table(name="shipments", rows=900, parents=("orders", "addresses", "warehouses")),
    Table(name="reviews", rows=200, parents=("products", "customers"), wide=True),
    Table(name="tickets", rows=150, parents=("customers", "orders"), indexes=("created_at", "status")),
    Table(name="messages", rows=250, parents=("tickets",), wide=True),
    Table(name="audit", rows=200, parents=("customers",), indexes=("created_at", "owner"), wide=True),
)
TOUCHED = "orders"
"""The table that the migration of the targeted restore touches: a seventh of the data."""

_NARROW = """
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL,
    amount numeric(10, 2) NOT NULL CHECK (amount >= 0), quantity int NOT NULL, status text NOT NULL"""
_WIDE = ", owner uuid NOT NULL, title text NOT NULL, details jsonb, tags text[]"
_NARROW_VALUES = """
    '2026-01-01'::timestamptz + i * interval '1 s', (i % 100000) / 100.0, i % 10,
    (ARRAY['new', 'paid', 'sent', 'done', 'returned'])[1 + i % 5]"""
_WIDE_VALUES = """, gen_random_uuid(), 'title ' || md5(i::text),
    jsonb_build_object('n', i, 'mood', i % 7, 'text', md5((i + 1)::text)),
    ARRAY[md5((i % 100)::text), 'tag' || i % 10]"""


def count(table: Table, megabytes: int) -> int:
    """Its rows in a database of that size."""
    return max(int(table.rows * megabytes), 10)


async def fill(session: Session, megabytes: int) -> None:
    """Make the tables, with rows, keys and indexes."""
    by_name = {table.name: table for table in SHOP}
    await session.run("CREATE SCHEMA supabase_migrations")  # as every project has that migrates
    await session.run("SET session_replication_role = replica")  # the keys hold, and need no look
    for table in SHOP:
        keys = "".join(f", {parent}_id bigint NOT NULL REFERENCES public.{parent} (id)" for parent in table.parents)
        await session.run(f"CREATE TABLE public.{table.name} ({_NARROW}{_WIDE if table.wide else ''}{keys})")
        names = ["created_at", "amount", "quantity", "status"]
        names += ["owner", "title", "details", "tags"] if table.wide else []
        names += [f"{parent}_id" for parent in table.parents]
        values = "".join(f", 1 + (i::bigint * 7919) % {count(by_name[parent], megabytes)}" for parent in table.parents)
        await session.run(
            f"INSERT INTO public.{table.name} ({', '.join(names)})"
            f" SELECT {_NARROW_VALUES}{_WIDE_VALUES if table.wide else ''}{values}"
            f" FROM generate_series(1, {count(table, megabytes)}) AS i"
        )
        for column in (*table.indexes, *(f"{parent}_id" for parent in table.parents)):
            await session.run(f"CREATE INDEX ON public.{table.name} ({column})")
        await session.run(f"VACUUM (ANALYZE, FREEZE) public.{table.name}")


@asynccontextmanager
async def shop_database(megabytes: int) -> AsyncIterator[tuple[str, int]]:
    """A server with one such database; its URL and the bytes of its tables, without indexes."""
    async with embedded_postgres() as server:
        await server.create_database("shop")
        await server.bootstrap_supabase("shop")
        async with PsycopgTarget(SecretStr(server.admin_url("shop"))).session(purpose="bench") as session:
            await session.run("GRANT pg_checkpoint TO postgres")
        url = server.url("shop")
        async with PsycopgTarget(SecretStr(url)).session(purpose="bench") as session:
            await fill(session, megabytes)
            size = await session.value(
                "SELECT sum(pg_table_size(oid))::bigint FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind = 'r'"
            )
        yield url, size
