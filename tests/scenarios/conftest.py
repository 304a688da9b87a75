"""A project on the simulated platform whose server is the tests' own: it may go back as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.edges.embedded import EmbeddedPostgres
from tests.simulator import Platform, simulating
from tests.support.aside import run_aside
from tests.support.own_server import own_server
from tests.support.platform_deploys import PROJECT


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedPostgres]:
    """A server that may go back as a whole."""
    with own_server() as postgres:
        run_aside(postgres.create_database(PROJECT, template="template"))
        yield postgres


@pytest.fixture(scope="module")
def simulated(own: EmbeddedPostgres) -> Iterator[Platform]:
    with simulating(own, PROJECT, restores=True) as platform:
        platform.rate_limit = None
        yield platform
