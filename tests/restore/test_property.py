"""Any schema, any migration, any failure: afterwards the database is as it was.

Hypothesis draws a database, a migration and where it fails. `RESTORE_EXAMPLES=3000` draws more than CI does, and others
each time. A failure prints a case that goes into the corpus as it is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from agent.edges.embedded import EmbeddedPostgres
from tests.conftest import TEMPLATE, Database
from tests.restore import damage, makers, worlds
from tests.restore.cases import RUNGS, Case, told, undo
from tests.support.aside import run_aside

EXAMPLES = int(os.environ.get("RESTORE_EXAMPLES", "0"))
_IN_CI = 200
_FAILS = "DO $$ BEGIN RAISE EXCEPTION 'the deploy fails here'; END $$"
_RUNBOOK = "version: 1\ntitle: Fails\nchecks:\n  - {id: never, sql: select 1, expect: 2}\n"
_USED_TOO_EARLY = "55P04"  # a new enum value in the transaction that added it: no error in the file that follows
_NUMBERS = count(1)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What hypothesis draws.

    `ends`: after which statements a file ends. `fails`: before which statement; None: after the last one, in a file of
    its own. `by_check`: nothing fails but the runbook's check after all files.
    """

    before: tuple[str, ...]
    migration: tuple[str, ...]
    ends: frozenset[int]
    fails: int | None
    by_check: bool
    strategy: str
    rung: int
    ahead: bool


@st.composite
def drawn(draw: worlds.Draw) -> Drawn:
    world = makers.build(draw)
    before = list(world.statements)
    migration = damage.wreck(world)
    return Drawn(
        before=tuple(before),
        migration=tuple(migration),
        ends=draw(st.frozensets(st.integers(0, len(migration)), max_size=3)),
        fails=draw(st.sampled_from((None, None, *range(len(migration))))),
        by_check=draw(st.booleans()),
        strategy=draw(st.sampled_from(("per_migration", "per_migration", "statement", "auto"))),
        rung=draw(st.sampled_from(RUNGS)),
        ahead=draw(st.booleans()),
    )


@given(drawn())
@settings(
    max_examples=EXAMPLES or _IN_CI,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)
def undone(server: EmbeddedPostgres, it: Drawn) -> None:
    with fresh(server) as database, tempfile.TemporaryDirectory() as folder:
        case = possible(it, database)
        note(case.text())
        outcome, differences = run_aside(undo(case, database, Path(folder), rung=it.rung, ahead=it.ahead))
        assert not differences, "\n".join([told(outcome), *differences])
        assert outcome.state in {"restored", "rolled_back"}, told(outcome)


@pytest.mark.timeout(0)
def test_the_database_is_as_it_was(server: EmbeddedPostgres) -> None:
    undone(server)


@contextmanager
def fresh(server: EmbeddedPostgres) -> Iterator[Database]:
    name = f"drawn_{next(_NUMBERS)}"
    run_aside(server.create_database(name, template=TEMPLATE))
    try:
        yield Database(name=name, url=server.url(name), admin_url=server.admin_url(name), server=server)
    finally:
        run_aside(server.drop_database(name))


def possible(it: Drawn, database: Database) -> Case:
    """The case of those statements that the database takes; it has run those that come before the deploy."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        before = list(_accepted(connection, it.before))
        kept = [name for (name,) in connection.execute(_FILLED).fetchall()]
        before += _accepted(connection, [f"REFRESH MATERIALIZED VIEW {name}" for name in kept])
        connection.execute("BEGIN")
        migration = list(_accepted(connection, it.migration))
        connection.execute("ROLLBACK")
    files: list[list[str]] = [[]]
    for place, statement in enumerate(migration):
        if place == it.fails and not it.by_check:
            files[-1].append(_FAILS)
        files[-1].append(statement)
        if place in it.ends:
            files.append([])
    if not it.by_check:
        files.append([_FAILS])
    return Case(
        before=(("postgres", _script(before)),),
        migrations=tuple(_script(statements) for statements in files if statements) or ("SELECT 1;",),
        strategy=it.strategy,
        runbook=_RUNBOOK if it.by_check else "",
    )


_FILLED = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated
ORDER BY c.oid
"""


def _script(statements: Iterable[str]) -> str:
    return "".join(f"{statement};\n" for statement in statements)


def _accepted(connection: psycopg.Connection, statements: Iterable[str]) -> Iterator[str]:
    for statement in statements:
        try:
            with connection.transaction():
                connection.execute(statement.encode())
        except psycopg.Error as error:
            if error.sqlstate != _USED_TOO_EARLY:
                continue
        yield statement
