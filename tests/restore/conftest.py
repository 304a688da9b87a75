"""Databases for restores: a second one, and one whose server does nothing but what a test does."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from agent.edges.embedded import EmbeddedPostgres
from tests.conftest import TEMPLATE, Database
from tests.support.aside import run_aside


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """A second database, as a new Supabase project has it."""
    name = f"{database.name}_other"
    server = database.server
    run_aside(server.create_database(name, template=TEMPLATE))
    try:
        yield Database(name=name, url=server.url(name), admin_url=server.admin_url(name), server=server)
    finally:
        run_aside(server.drop_database(name))


@pytest.fixture
def quiet_database() -> Iterator[Database]:
    """A fresh Supabase-like database of its own server, without autovacuum: that one counts transaction ids for all."""
    server = EmbeddedPostgres()
    run_aside(server.start())
    try:
        run_aside(server.create_database(TEMPLATE))
        run_aside(server.bootstrap_supabase(TEMPLATE))
        with psycopg.connect(server.admin_url(TEMPLATE), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        yield Database(name=TEMPLATE, url=server.url(TEMPLATE), admin_url=server.admin_url(TEMPLATE), server=server)
    finally:
        run_aside(server.stop())
