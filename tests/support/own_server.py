"""A Postgres that belongs to one module of tests: what they do reaches a whole server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agent.edges.embedded import EmbeddedPostgres
from tests.support.aside import run_aside


@contextmanager
def own_server(database: str = "template") -> Iterator[EmbeddedPostgres]:
    """A running server.

    Args:
        database: gets what `bootstrap_supabase` gives; made if there is none.
    """
    postgres = EmbeddedPostgres()
    run_aside(postgres.start())
    try:
        if database != "postgres":
            run_aside(postgres.create_database(database))
        run_aside(postgres.bootstrap_supabase(database))
        yield postgres
    finally:
        run_aside(postgres.stop())
