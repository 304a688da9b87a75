"""The operations of the Management API that the agent uses, and what a token needs for each.

Facts: the OpenAPI document of the Management API; the tests hold this table against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict


class Operation(BaseModel):
    """One operation of the Management API that the agent uses.

    `id`: its operationId. `permissions`: what a scoped token must hold, as alternatives, each a list of all that are
    needed. `scope`: what an OAuth token must hold; "" where the document names none. `need`: what the agent wants it
    for, as in "needed for …". `repeats`: asked twice it does no more than once, so it may be tried again. `successes`:
    the status codes of success; empty: any 2xx (the document does not know which). `answers`: the media types of a
    success; empty: none is promised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    method: str
    path: str
    permissions: tuple[tuple[str, ...], ...] = ()
    scope: str = ""
    need: str
    repeats: bool = True
    successes: tuple[int, ...] = (200,)
    answers: tuple[str, ...] = ("application/json",)

    @property
    def permission(self) -> str:
        """The permissions for people: `a`, `a and b`, `a or b`."""
        return " or ".join(" and ".join(each) for each in self.permissions)


_P = "/v1/projects/{ref}"


def _read(id_: str, path: str, permission: str, scope: str, need: str, **more: Any) -> Operation:  # noqa: ANN401 - Operation's own fields
    permissions = tuple(tuple(each.split("+")) for each in permission.split("|")) if permission else ()
    return Operation(
        **{"id": id_, "method": "GET", "path": path, "permissions": permissions, "scope": scope, "need": need, **more}
    )


def _write(id_: str, path: str, permission: str, scope: str, need: str, **more: Any) -> Operation:  # noqa: ANN401 - as above
    return _read(
        id_, path, permission, scope, need, **{"method": "POST", "repeats": False, "successes": (201,), **more}
    )


_BRANCHES = "branching_production_{0}|branching_development_{0}"

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "project": _read(
            "v1-get-project", _P, "project_admin_read", "projects:read", "the project's status and address"
        ),
        "health": _read(
            "v1-get-services-health",
            f"{_P}/health",
            "project_admin_read",
            "projects:read",
            "the health of its services",
        ),
        "backups": _read(
            "v1-list-all-backups", f"{_P}/database/backups", "backups_read", "database:read", "the platform's backups"
        ),
        "restore_pitr": _write(
            "v1-restore-pitr-backup",
            f"{_P}/database/backups/restore-pitr",
            "backups_write",
            "database:write",
            "a restore to a point in time",
            answers=(),
        ),
        "create_restore_point": _write(
            "v1-create-restore-point",
            f"{_P}/database/backups/restore-point",
            "backups_write",
            "database:write",
            "a restore point",
        ),
        "restore_point": _read(
            "v1-get-restore-point",
            f"{_P}/database/backups/restore-point",
            "backups_read",
            "database:read",
            "the state of a restore point",
        ),
        "undo": _write(
            "v1-undo",
            f"{_P}/database/backups/undo",
            "backups_write",
            "database:write",
            "going back to a restore point",
            answers=(),
        ),
        "read_only": _read(
            "v1-get-readonly-mode-status",
            f"{_P}/readonly",
            "database_readonly_config_read",
            "database:read",
            "whether the database is read-only",
        ),
        "disk": _read(
            "v1-get-disk-utilization", f"{_P}/config/disk/util", "infra_disk_config_read", "", "the disk's free space"
        ),
        "poolers": _read(
            "v1-get-pooler-config",
            f"{_P}/config/database/pooler",
            "database_pooling_config_read",
            "database:read",
            "the session pooler's address",
        ),
        "login_role": _write(
            "v1-create-login-role",
            f"{_P}/cli/login-role",
            "database_write",
            "database:write",
            "a temporary login role",
            repeats=True,
        ),
        "security_advisors": _read(
            "v1-get-security-advisors",
            f"{_P}/advisors/security",
            "advisors_read",
            "database:read",
            "the security advisor",
        ),
        "performance_advisors": _read(
            "v1-get-performance-advisors",
            f"{_P}/advisors/performance",
            "advisors_read",
            "database:read",
            "the performance advisor",
        ),
        "run_advisors": _write(
            "v2-run-project-advisors",
            "/v2/projects/{ref}/advisors/run",
            "advisors_read",
            "",
            "the advisors",
            repeats=True,
            successes=(200,),
        ),
        "query": _write(
            "v1-run-a-query",
            f"{_P}/database/query",
            "database_write|database_read",
            "database:write",
            "SQL over the API",
        ),
        "read_only_query": _write(
            "v1-read-only-query",
            f"{_P}/database/query/read-only",
            "database_read",
            "database:read",
            "reading SQL over the API",
            repeats=True,
        ),
        "metrics": _read(
            "v1-scrape-project-metrics",
            f"{_P}/analytics/endpoints/metrics",
            "analytics_logs_read",
            "analytics:read",
            "the project's metrics",
            answers=("text/plain", "application/openmetrics-text"),
        ),
        "settings": _read(
            "v1-get-postgres-config",
            f"{_P}/config/database/postgres",
            "database_config_read",
            "database:read",
            "the settings of Postgres",
        ),
        "api_keys": _read(
            "v1-get-project-api-keys",
            f"{_P}/api-keys",
            "api_gateway_keys_read",
            "secrets:read",
            "the keys of the project's API",
        ),
        "network_restrictions": _read(
            "v1-get-network-restrictions",
            f"{_P}/network-restrictions",
            "database_network_restrictions_read",
            "projects:read",
            "the network restrictions",
        ),
        "network_bans": _write(
            "v1-list-all-network-bans",
            f"{_P}/network-bans/retrieve",
            "database_network_bans_read",
            "projects:read",
            "the network bans",
            repeats=True,
        ),
        "upgrade_status": _read(
            "v1-get-postgres-upgrade-status",
            f"{_P}/upgrade/status",
            "project_admin_read+database_read",
            "projects:read",
            "whether an upgrade runs",
        ),
        "upgrade_eligibility": _read(
            "v1-get-postgres-upgrade-eligibility",
            f"{_P}/upgrade/eligibility",
            "project_admin_read+database_read",
            "projects:read",
            "the upgrades on offer",
        ),
        "addons": _read(
            "v1-list-project-addons", f"{_P}/billing/addons", "infra_add_ons_read", "", "the project's add-ons"
        ),
        "entitlements": _read(
            "v1-get-organization-entitlements",
            "/v1/organizations/{slug}/entitlements",
            "organization_admin_read",
            "organizations:read",
            "what the plan allows",
        ),
        "maintenance": _read(
            "v2-list-organization-maintenance-windows",
            "/v2/organizations/{slug}/maintenance/windows",
            "",
            "",
            "the maintenance windows",
            successes=(),
        ),
        "branches": _read(
            "v1-list-all-branches", f"{_P}/branches", _BRANCHES.format("read"), "environment:read", "the branches"
        ),
        "create_branch": _write(
            "v1-create-a-branch", f"{_P}/branches", _BRANCHES.format("create"), "environment:write", "a branch"
        ),
        "branch": _read(
            "v1-get-a-branch-config",
            "/v1/branches/{branch_id_or_ref}",
            _BRANCHES.format("read"),
            "environment:read",
            "a branch's state and address",
        ),
        "delete_branch": _read(
            "v1-delete-a-branch",
            "/v1/branches/{branch_id_or_ref}",
            _BRANCHES.format("delete"),
            "environment:write",
            "removing a branch",
            method="DELETE",
        ),
    }
)
"""Every operation that the agent uses, by the name that `agent.ports.Platform` has for it."""
