"""Fixtures for all tests: one Postgres a session, one cloned database a test, and doubles of hosted services.

All are synchronous and do not care about event loops, so sync and async tests use them alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from agent.edges.embedded import EmbeddedPostgres
from tests.support import receiver
from tests.support import s3 as s3_support
from tests.support.aside import run_aside
from tests.support.needs import cannot_run

TEMPLATE = "supabase_template"
_ROOT = Path(__file__).resolve().parent.parent
_NUMBERS = itertools.count(1)

# Machines are shared: how long an example takes says nothing.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@dataclass(frozen=True, kw_only=True)
class Database:
    """A fresh Supabase-like database."""

    name: str
    url: str  # as role postgres
    admin_url: str  # as supabase_admin, a superuser
    server: EmbeddedPostgres

    def url_as(self, role: str) -> str:
        return self.server.url(self.name, role)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """The session's Postgres; holds the template database `supabase_template`."""
    postgres = EmbeddedPostgres()
    run_aside(postgres.start())
    try:
        run_aside(postgres.create_database(TEMPLATE))
        run_aside(postgres.bootstrap_supabase(TEMPLATE))
        yield postgres
    finally:
        run_aside(postgres.stop())


@pytest.fixture
def database(server: EmbeddedPostgres) -> Iterator[Database]:
    """A copy of the template, dropped afterwards whoever is still connected."""
    name = f"test_{next(_NUMBERS)}"
    run_aside(server.create_database(name, template=TEMPLATE))
    try:
        yield Database(name=name, url=server.url(name), admin_url=server.admin_url(name), server=server)
    finally:
        run_aside(server.drop_database(name))


@pytest.fixture
def webhooks() -> Iterator[receiver.Receiver]:
    """A webhook receiver on loopback."""
    with receiver.receiving() as running:
        yield running


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3_support.S3]:
    """A real S3 server."""
    with s3_support.serving() as running:
        yield running


@pytest.fixture
def s3(s3_server: s3_support.S3) -> s3_support.S3:
    """The S3 server with an empty bucket: `s3.endpoint`, `s3.bucket`, `s3.access_key`, `s3.secret_key`."""
    return s3_server.with_bucket(f"test-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def supabase_cli() -> Path:
    """The real Supabase CLI's binary, which `make test` installs where npm exists. CI cannot do without."""
    found = sorted((_ROOT / ".tools" / "node_modules" / "@supabase").glob("cli-*/bin/supabase"))
    if not found:
        cannot_run("the real Supabase CLI is not installed: install npm, then run `make tools`")
    return found[0]
