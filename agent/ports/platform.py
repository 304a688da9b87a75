"""The platform that the database lives on: one Supabase project, as the Management API shows it.

Every method is one request (`entitlements` and `maintenance` ask for the project first, once, to learn the name of the
organization). All of them may raise `PlatformError`:

    platform.unreachable, platform.timeout      no answer; nothing is known
    platform.tls_refused                        the certificate is not accepted, or it is no TLS
    platform.token_refused                      401
    platform.forbidden                          403; `missing_permissions` where the API lists them
    platform.plan                               402: the plan does not include it
    platform.not_found                          404
    platform.refused                            400, 406, 409, 422 and other 4xx, with the API's words
    platform.rate_limited                       429 until the deadline, or no budget left within it
    platform.failed                             5xx, 544 until the deadline
    platform.bad_answer                         another status, media type or form than the API promises
    platform.in_doubt                           a request with an effect was sent, and nobody knows whether it took
                                                effect: `in_doubt` is true, and it was not repeated

Reads are tried again by themselves until a deadline. A request with an effect (marked so below) is sent once; it is
sent again only where it is certain that the platform has not acted on it (no connection, 429).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:  # only who has a token pays for the models
    from agent.core.platform import (
        Addon,
        ApiKey,
        Backups,
        Branch,
        BranchDetail,
        Call,
        Disk,
        Entitlements,
        Lint,
        LoginRole,
        Maintenance,
        NetworkBans,
        NetworkRestrictions,
        Pooler,
        Project,
        ReadOnly,
        RestorePoint,
        ServiceHealth,
        UpgradeEligibility,
        UpgradeStatus,
    )

Advisor = Literal["security", "performance"]


class Platform(Protocol):
    """One project on the platform. Each docstring: the operation, what a scoped token needs, the OAuth scope."""

    @property
    def ref(self) -> str:
        """The project's ref: 20 lower-case letters."""
        ...

    def on_call(self, listener: Callable[[Call], None] | None) -> None:
        """Hear of each request as it ends, as evidence (None: stop listening)."""
        ...

    async def project(self) -> Project:
        """Status, region, database host and Postgres version.

        `GET /v1/projects/{ref}`; `project_admin_read`; `projects:read`.
        """
        ...

    async def health(self, services: Sequence[str]) -> tuple[ServiceHealth, ...]:
        """The health of each service that is named (see `agent.core.platform.HEALTH_SERVICES`).

        `GET /v1/projects/{ref}/health`; `project_admin_read`; `projects:read`.
        """
        ...

    async def backups(self) -> Backups:
        """The daily backups, and what a point-in-time restore can reach.

        `GET /v1/projects/{ref}/database/backups`; `backups_read`; `database:read`.
        """
        ...

    async def restore_pitr(self, at: int) -> None:
        """Begin to restore the whole project, in place, to a second. Has an effect.

        The answer has no job: look at `project().status` (RESTORING, then ACTIVE_HEALTHY or RESTORE_FAILED).
        In doubt: look there too before anything else is done.

        `POST /v1/projects/{ref}/database/backups/restore-pitr`; `backups_write`; `database:write`.

        Args:
            at: unix seconds.

        Raises:
            PlatformError: also `platform.refused`: PITR is not enabled, or the second is out of its window.
        """
        ...

    async def create_restore_point(self, name: str) -> RestorePoint:
        """Begin to make a named restore point. Has an effect. In doubt: ask `restore_point(name)`.

        Internal to the platform, for some customers only: expect `platform.forbidden`, `.not_found`, `.refused`.

        `POST /v1/projects/{ref}/database/backups/restore-point`; `backups_write`; `database:write`.

        Args:
            name: at most 20 characters.
        """
        ...

    async def restore_point(self, name: str | None = None) -> RestorePoint:
        """The state of a restore point; without a name, of the newest. `platform.not_found`: there is none.

        `GET /v1/projects/{ref}/database/backups/restore-point`; `backups_read`; `database:read`.
        """
        ...

    async def undo(self, name: str) -> None:
        """Begin to bring the whole project back to a restore point. Has an effect; look at `project().status`.

        `POST /v1/projects/{ref}/database/backups/undo`; `backups_write`; `database:write`.

        Args:
            name: of a restore point that is available.
        """
        ...

    async def read_only(self) -> ReadOnly:
        """Whether the platform has made the database read-only (full disk).

        `GET /v1/projects/{ref}/readonly`; `database_readonly_config_read`; `database:read`.
        """
        ...

    async def disk(self) -> Disk:
        """Size and use of the database's disk.

        `GET /v1/projects/{ref}/config/disk/util`; `infra_disk_config_read`; no scope is documented.
        """
        ...

    async def poolers(self) -> tuple[Pooler, ...]:
        """The addresses of the pooler.

        `GET /v1/projects/{ref}/config/database/pooler`; `database_pooling_config_read`; `database:read`.
        """
        ...

    async def login_role(self, *, read_only: bool) -> LoginRole:
        """A temporary role with a password. An unused one does nothing and expires, so this may be asked again.

        `POST /v1/projects/{ref}/cli/login-role`; `database_write`; `database:write`.
        """
        ...

    async def advisors(self, kind: Advisor) -> tuple[Lint, ...]:
        """What an advisor finds now.

        `GET /v1/projects/{ref}/advisors/security` or `…/performance`; `advisors_read`; `database:read`.
        """
        ...

    async def run_advisors(self, lints: Sequence[str]) -> tuple[Lint, ...]:
        """What these lints find now; not on every platform (`platform.not_found`, then use `advisors`).

        `POST /v2/projects/{ref}/advisors/run`; `advisors_read`; no scope is documented.
        """
        ...

    async def query(
        self, sql: str, parameters: Sequence[Any] = (), *, read_only: bool = False
    ) -> tuple[Mapping[str, Any], ...]:
        """Run SQL over HTTP and return the rows of its last statement. Has an effect unless `read_only`.

        The route has a time limit of its own, about a minute. In doubt: ask the database what it has, for instance
        a history row of the same transaction.

        `POST /v1/projects/{ref}/database/query`; `database_write` (or `database_read`); `database:write`.
        `read_only`: `POST /v1/projects/{ref}/database/query/read-only`; `database_read`; `database:read`. It runs as
        `supabase_read_only_user`, whose search path is not yours: qualify names.

        Args:
            sql: one or more statements; without parameters they go as they are.
            parameters: for $1, $2, ….

        Raises:
            StatementError: the database refused the SQL; with its SQLSTATE, as far as the API's text has it.
        """
        ...

    async def metrics(self) -> str:
        """The project's metrics in the Prometheus text format. `platform.refused`: it is not ACTIVE_HEALTHY.

        `GET /v1/projects/{ref}/analytics/endpoints/metrics`; `analytics_logs_read`; `analytics:read`.
        """
        ...

    async def settings(self) -> Mapping[str, str | int | float | bool]:
        """The settings of Postgres that differ from the platform's defaults.

        `GET /v1/projects/{ref}/config/database/postgres`; `database_config_read`; `database:read`.
        """
        ...

    async def api_keys(self, *, reveal: bool) -> tuple[ApiKey, ...]:
        """The keys of the project's own API.

        `GET /v1/projects/{ref}/api-keys`; `api_gateway_keys_read`; `secrets:read`.

        Args:
            reveal: secret keys in full; otherwise they are masked.
        """
        ...

    async def network_restrictions(self) -> NetworkRestrictions:
        """Which networks may connect.

        `GET /v1/projects/{ref}/network-restrictions`; `database_network_restrictions_read`; `projects:read`.
        """
        ...

    async def network_bans(self) -> NetworkBans:
        """Which addresses are shut out. A read, though the method is POST.

        `POST /v1/projects/{ref}/network-bans/retrieve`; `database_network_bans_read`; `projects:read`.
        """
        ...

    async def upgrade_status(self) -> UpgradeStatus:
        """The last upgrade of Postgres, and whether it still runs.

        `GET /v1/projects/{ref}/upgrade/status`; `project_admin_read` and `database_read`; `projects:read`.
        """
        ...

    async def upgrade_eligibility(self) -> UpgradeEligibility:
        """Whether Postgres can be upgraded.

        `GET /v1/projects/{ref}/upgrade/eligibility`; `project_admin_read` and `database_read`; `projects:read`.
        """
        ...

    async def addons(self) -> tuple[Addon, ...]:
        """The add-ons that are booked.

        `GET /v1/projects/{ref}/billing/addons`; `infra_add_ons_read`; no scope is documented.
        """
        ...

    async def entitlements(self) -> Entitlements:
        """What the organization's plan allows.

        `GET /v1/organizations/{slug}/entitlements`; `organization_admin_read`; `organizations:read`.
        """
        ...

    async def maintenance(self) -> Maintenance | None:
        """The maintenance windows of the project's region; None: the platform does not tell.

        `GET /v2/organizations/{slug}/maintenance/windows`; neither permission nor scope is documented, nor is it
        established that every platform has it.
        """
        ...

    async def branches(self) -> tuple[Branch, ...]:
        """All branches, the default one too.

        `GET /v1/projects/{ref}/branches`; `branching_production_read` or `branching_development_read`;
        `environment:read`.
        """
        ...

    async def create_branch(self, name: str, *, with_data: bool = False, instance_size: str = "") -> Branch:
        """Begin to make a branch: a project of its own, billed by the hour. Has an effect.

        In doubt: look for the name in `branches()`.

        `POST /v1/projects/{ref}/branches`; `branching_production_create` or `branching_development_create`;
        `environment:write`.

        Args:
            name: not in use by another branch.
            with_data: with a copy of the project's data.
            instance_size: for instance `micro`; "": the platform's default.
        """
        ...

    async def branch(self, ref: str) -> BranchDetail:
        """A branch's state and database.

        `GET /v1/branches/{branch_id_or_ref}`; `branching_production_read` or `branching_development_read`;
        `environment:read`.

        Args:
            ref: `Branch.project_ref`.
        """
        ...

    async def delete_branch(self, ref: str) -> None:
        """Remove a branch and its database at once. May be asked again: one that is gone afterwards is success.

        `DELETE /v1/branches/{branch_id_or_ref}`; `branching_production_delete` or `branching_development_delete`;
        `environment:write`.
        """
        ...
