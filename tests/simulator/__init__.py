"""The one fake of the hosted platform: a real HTTP server over a real Postgres.

    async with simulator(postgres, database.name) as platform:
        client = ManagementClient(platform.url, platform.token)
        platform.fault("v1-run-a-query", status=544, times=2)
        ...
        assert [call.status for call in platform.called("v1-run-a-query")] == [544, 544, 201]

`simulating` is the same for code that is not asynchronous. The server runs in a thread, so that the test, its
subprocesses and the Supabase CLI all reach it.

What is real: the HTTP, the SQL and its errors, the rows, the roles, the connections; restores (`restores=True`, on a
server of the test's own), branches (a server each), login roles, the session pooler. What is state here and no more:
settings that only the platform knows (network restrictions, add-ons, disk); a test may change `platform.project` and
`platform.plan` between two calls. The project's own API (`platform.api_url`, `platform.key()`) is answered by
stand-ins, see `gateway.py`.

What can go wrong when a test says so: `fault` (an error, other bytes, a slow answer, a cut connection, at any call of
any operation), `script_restores` (stuck, failed, of the wrong moment, a status that comes late), `scoped_token`,
`revoke`, `rate_limit`, `project.unhealthy`, `project.api.rest.deaf`.

Each answer is held to `tests/contracts/management-api.openapi.json`: one that violates it fails the test at the end of
the `with`. A request that violates it is answered with 400, as the platform does, and `Recorded.problems` says why.

What is not established about the platform and is assumed: which of a project's states refuse what, the body of a 403
beside `missing_permissions`, that a restore fails while slots or subscriptions are left. Not simulated: uploads of edge
functions, replicas, upgrades that run, logs, webhooks, organizations and projects being made.

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
