"""The one fake of the hosted platform: a real HTTP server over a real Postgres.

    async with simulator(postgres, database.name) as platform:
        client = ManagementClient(platform.url, platform.token)
        platform.fault("v1-run-a-query", status=544, times=2)
        ...
        assert [call.status for call in platform.called("v1-run-a-query")] == [544, 544, 201]

`simulating` is the same for code that is not asynchronous. The server runs in a thread, so that the test, its
subprocesses and the Supabase CLI all reach it.

What is real: the HTTP, the SQL and its errors, the rows, the roles, the connections. What is state here and no more:
settings that only the platform knows (network restrictions, add-ons, disk). Each answer is held to
`tests/contracts/management-api.openapi.json`: one that violates it fails the test at the end of the `with`. A request
that violates it is answered with 400, as the platform does, and `Recorded.problems` says why.

An operation that the simulator does not have is answered with 501; `operations.HANDLERS` lists those that it has.
"""

from . import advisors, backups, branches, database, projects, settings  # noqa: F401 - they register what they answer
from .model import Answer, Fault, Recorded, Refused
from .operations import HANDLERS
from .platform import Platform
from .project import Backup, Project
from .running import simulating, simulator

__all__ = [
    "HANDLERS",
    "Answer",
    "Backup",
    "Fault",
    "Platform",
    "Project",
    "Recorded",
    "Refused",
    "simulating",
    "simulator",
]
