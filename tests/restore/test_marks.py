"""A table's mark differs wherever its rows do, also where PostgreSQL's own hashes are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.bootstrap import open_deps
from agent.core.models import TableMark
from agent.deploy.snapshot import read_marks
from tests.support.deploying import make_settings
from tests.support.oracle import psql


async def _mark(database: Any, folder: Path) -> TableMark:
    settings = make_settings(database.url, folder)
    async with (
        open_deps(settings) as deps,
        deps.target.session(purpose="test") as session,
        session.transaction(read_only=True),
    ):
        return (await read_marks(session, ["public"]))["public.marked"]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("jsonb", "'{}'", "NULL"),
        ("jsonb", "'[]'", "NULL"),
        ("jsonb", "'[]'", "'{}'"),
        ("jsonb", """'{"a": 1.0}'""", """'{"a": 1.00}'"""),
        ("bpchar", "'a'", "'a '"),
        ("numeric", "1.0", "1.00"),
        ("text", "''", "NULL"),
        ("float8", "0", "'-0'"),
        ("interval", "'1 mon'", "'30 days'"),
        ("text[]", "'{}'", "NULL"),
    ],
)
async def test_a_value_that_is_another_one_is_seen(
    database: Any, tmp_path: Path, kind: str, before: str, after: str
) -> None:
    psql(
        database.url, f"CREATE TABLE public.marked (id int, it {kind}); INSERT INTO public.marked VALUES (1, {before})"
    )
    first = await _mark(database, tmp_path)
    psql(database.url, f"UPDATE public.marked SET it = {after}")
    assert (await _mark(database, tmp_path)).hash != first.hash
    psql(database.url, f"UPDATE public.marked SET it = {before}")
    assert (await _mark(database, tmp_path)).hash == first.hash


async def test_values_that_rows_have_swapped_are_seen(database: Any, tmp_path: Path) -> None:
    psql(database.url, "CREATE TABLE public.marked (id int, place int, words text)")
    psql(database.url, "INSERT INTO public.marked SELECT n, n, 'row ' || n FROM generate_series(1, 4) AS n")
    first = await _mark(database, tmp_path)
    for one, other in [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]:
        swap = f"UPDATE public.marked SET place = {one + other} - place WHERE place IN ({one}, {other})"
        psql(database.url, swap)
        assert (await _mark(database, tmp_path)).hash != first.hash, swap
        psql(database.url, swap)
        assert (await _mark(database, tmp_path)).hash == first.hash
