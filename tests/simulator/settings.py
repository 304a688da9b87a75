"""What the platform knows of a project beside its database: keys, pooler, network, disk, upgrades, add-ons."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from typing import Any

import psycopg

from . import keys
from .model import Answer, Call, Refused
from .operations import operation
from .project import HEALTHY, Project, now

_ADDONS = {"ipv4_default": "ipv4", "cd_default": "custom_domain"}


@operation("v1-get-project-api-keys")
async def api_keys(call: Call) -> list[dict[str, Any]]:
    project, reveal = call.project, call.query.get("reveal", False)
    stamp = project.created_at.isoformat()
    made = [
        {"name": role, "id": role, "type": "legacy", "api_key": keys.legacy(project, role), "prefix": None}
        for role in ("anon", "service_role")
    ]
    for kind, key in (("publishable", keys.publishable(project)), ("secret", keys.secret(project))):
        shown = key if reveal or kind == "publishable" else key[:14] + "·" * 20
        made.append(
            {"name": "default", "id": _uuid(project, kind), "type": kind, "api_key": shown, "prefix": key[-40:-35]}
        )
    return [{**one, "inserted_at": stamp, "updated_at": stamp} for one in made]


@operation("v1-get-project-legacy-api-keys")
async def legacy_keys(call: Call) -> dict[str, Any]:
    return {"enabled": True}


def _uuid(project: Project, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{project.ref}/{what}"))


@operation("v1-get-pooler-config")
async def pooler(call: Call) -> list[dict[str, Any]]:
    """One entry for the primary, as hosted projects have it; its port is the session pooler's."""
    project = call.project
    found = project.pooler
    assert found is not None
    user = f"postgres.{project.ref}"
    url = f"postgresql://{user}:[YOUR-PASSWORD]@{found.host}:{found.port}/{project.database}"
    return [
        {
            "identifier": project.ref,
            "database_type": "PRIMARY",
            "is_using_scram_auth": True,
            "db_user": user,
            "db_host": found.host,
            "db_port": found.port,
            "db_name": project.database,
            "connection_string": url,
            "connectionString": url,
            "default_pool_size": project.pool_size,
            "max_client_conn": 200,
            "pool_mode": project.pool_mode,
        }
    ]


@operation("v1-update-pooler-config")
async def update_pooler(call: Call) -> dict[str, Any]:
    call.project.pool_size = call.body.get("default_pool_size", call.project.pool_size)
    return {"default_pool_size": call.project.pool_size, "pool_mode": call.project.pool_mode}


@operation("v1-get-project-pgbouncer-config")
async def pgbouncer(call: Call) -> dict[str, Any]:
    return {"default_pool_size": call.project.pool_size or 15, "max_client_conn": 200, "pool_mode": "transaction"}


_INTEGERS = {
    "max_connections",
    "max_locks_per_transaction",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
}
_BOOLEANS = {"track_commit_timestamp", "hot_standby_feedback"}
_TEXTS = {
    "effective_cache_size",
    "logical_decoding_work_mem",
    "maintenance_work_mem",
    "max_slot_wal_keep_size",
    "max_wal_size",
    "session_replication_role",
    "shared_buffers",
    "statement_timeout",
    "wal_keep_size",
    "work_mem",
    "checkpoint_timeout",
}


@operation("v1-get-postgres-config")
async def postgres_config(call: Call) -> dict[str, Any]:
    """What the server says of itself."""
    async with await _connect(call.project) as connection:
        cursor = await connection.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)",
            [[*_INTEGERS, *_BOOLEANS, *_TEXTS]],
        )
        found: dict[str, str] = dict(await cursor.fetchall())
    return {
        name: int(value) if name in _INTEGERS else value == "on" if name in _BOOLEANS else value
        for name, value in found.items()
    }


@operation("v1-get-readonly-mode-status")
async def readonly(call: Call) -> dict[str, Any]:
    until = call.project.read_only_until
    lifted = until is not None and until > now()
    return {
        "enabled": call.project.read_only and not lifted,
        "override_enabled": lifted,
        "override_active_until": until.isoformat() if until is not None else "",
    }


@operation("v1-disable-readonly-mode-temporarily")
async def lift_readonly(call: Call) -> Answer:
    call.project.read_only_until = now() + dt.timedelta(minutes=15)
    return Answer(status=201)


@operation("v1-get-disk-utilization")
async def disk_utilization(call: Call) -> dict[str, Any]:
    project = call.project
    used = project.disk_used
    if used is None:
        async with await _connect(project) as connection:
            cursor = await connection.execute("SELECT sum(pg_database_size(oid))::bigint FROM pg_database")
            row = await cursor.fetchone()
        used = int(row[0]) if row else 0
    size = project.disk_bytes
    return {
        "timestamp": now().isoformat(),
        "metrics": {"fs_size_bytes": size, "fs_avail_bytes": max(0, size - used), "fs_used_bytes": used},
    }


@operation("v1-get-database-disk")
async def disk(call: Call) -> dict[str, Any]:
    gigabytes = max(1, call.project.disk_bytes // 2**30)
    return {"attributes": {"type": "gp3", "iops": 3000, "size_gb": gigabytes, "throughput_mibps": 125}}


@operation("v1-get-project-disk-autoscale-config")
async def autoscale(call: Call) -> dict[str, Any]:
    return {"growth_percent": None, "min_increment_gb": None, "max_size_gb": None}


@operation("v1-list-all-network-bans")
async def bans(call: Call) -> dict[str, Any]:
    return {"banned_ipv4_addresses": call.project.banned}


@operation("v1-list-all-network-bans-enriched")
async def enriched_bans(call: Call) -> dict[str, Any]:
    return {
        "banned_ipv4_addresses": [
            {"banned_address": one, "identifier": call.project.ref, "type": "postgres"} for one in call.project.banned
        ]
    }


@operation("v1-delete-network-bans")
async def unban(call: Call) -> None:
    wanted = {*call.body["ipv4_addresses"]}
    if call.body.get("requester_ip") and call.client is not None:
        wanted.add(call.client[0])
    call.project.banned = [one for one in call.project.banned if one not in wanted]


@operation("v1-get-network-restrictions")
async def restrictions(call: Call) -> dict[str, Any]:
    return _restrictions(call.project)


@operation("v1-update-network-restrictions")
async def restrict(call: Call) -> dict[str, Any]:
    project = call.project
    project.allowed_v4 = call.body.get("dbAllowedCidrs", project.allowed_v4)
    project.allowed_v6 = call.body.get("dbAllowedCidrsV6", project.allowed_v6)
    project.restrictions_at = now()
    return _restrictions(project)


def _restrictions(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = {
        "entitlement": "allowed",
        "config": {"dbAllowedCidrs": project.allowed_v4, "dbAllowedCidrsV6": project.allowed_v6},
        "status": "applied",
    }
    if project.restrictions_at is not None:
        found["updated_at"] = found["applied_at"] = project.restrictions_at.isoformat()
    return found


@operation("v1-get-ssl-enforcement-config")
async def ssl(call: Call) -> dict[str, Any]:
    return {"currentConfig": {"database": call.project.ssl_enforced}, "appliedSuccessfully": True}


@operation("v1-update-ssl-enforcement-config")
async def enforce_ssl(call: Call) -> dict[str, Any]:
    call.project.ssl_enforced = call.body["requestedConfig"]["database"]
    found: dict[str, Any] = await ssl(call)
    return found


@operation("v1-get-postgrest-service-config")
async def data_api(call: Call) -> dict[str, Any]:
    return {**_data_api(call.project), "jwt_secret": call.project.jwt_secret}


@operation("v1-update-postgrest-service-config")
async def update_data_api(call: Call) -> dict[str, Any]:
    project = call.project
    project.schemas = call.body.get("db_schema", project.schemas)
    project.search_path = call.body.get("db_extra_search_path", project.search_path)
    project.max_rows = call.body.get("max_rows", project.max_rows)
    return _data_api(project)


def _data_api(project: Project) -> dict[str, Any]:
    return {
        "db_schema": project.schemas,
        "max_rows": project.max_rows,
        "db_extra_search_path": project.search_path,
        "db_pool": None,
    }


@operation("v1-list-all-secrets")
async def list_secrets(call: Call) -> list[dict[str, Any]]:
    return [{"name": name, "value": secrets.token_hex(32)} for name in call.project.secrets]


@operation("v1-bulk-create-secrets")
async def create_secrets(call: Call) -> None:
    call.project.secrets |= {one["name"]: one["value"] for one in call.body}


@operation("v1-bulk-delete-secrets")
async def delete_secrets(call: Call) -> None:
    for name in call.body:
        call.project.secrets.pop(name, None)


@operation("v1-list-project-addons")
async def addons(call: Call) -> dict[str, Any]:
    return {
        "selected_addons": [
            {"type": _addon_type(one), "variant": _variant(one)} for one in sorted(call.project.addons)
        ],
        "available_addons": [
            {"type": "pitr", "name": "Point in Time Recovery", "variants": [_variant(one) for one in _PITR]},
            {"type": "ipv4", "name": "Dedicated IPv4 address", "variants": [_variant("ipv4_default")]},
        ],
    }


@operation("v1-apply-project-addon")
async def buy_addon(call: Call) -> None:
    kind = call.body["addon_type"]
    bought = call.body["addon_variant"]
    call.project.addons = {one for one in call.project.addons if _addon_type(one) != kind} | {bought}


@operation("v1-remove-project-addon")
async def remove_addon(call: Call) -> None:
    call.project.addons.discard(call.path["addon_variant"])


_PITR = ("pitr_7", "pitr_14", "pitr_28")


def _addon_type(variant: str) -> str:
    if variant.startswith("ci_"):
        return "compute_instance"
    return "pitr" if variant.startswith("pitr_") else _ADDONS.get(variant, variant.removesuffix("_default"))


def _variant(one: str) -> dict[str, Any]:
    price = {"description": "simulated", "type": "fixed", "interval": "monthly", "amount": 0}
    return {"id": one, "name": one, "price": price}


@operation("v1-get-postgres-upgrade-eligibility")
async def eligibility(call: Call) -> dict[str, Any]:
    """Not eligible while logical replication slots are there; `Project.upgrade_to` is what is offered."""
    project = call.project
    async with await _connect(project) as connection:
        cursor = await connection.execute("SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical'")
        slots = [row[0] for row in await cursor.fetchall()]
    newest = project.upgrade_to or project.version
    return {
        "eligible": project.upgrade_to is not None and not slots,
        "current_app_version": f"supabase-postgres-{project.version}",
        "current_app_version_release_channel": "ga",
        "latest_app_version": f"supabase-postgres-{newest}",
        "target_upgrade_versions": [
            {"postgres_version": "17", "release_channel": "ga", "app_version": f"supabase-postgres-{newest}"}
        ]
        if project.upgrade_to
        else [],
        "duration_estimate_hours": 1,
        "legacy_auth_custom_roles": [],
        "objects_to_be_dropped": [],
        "unsupported_extensions": [],
        "user_defined_objects_in_internal_schemas": [],
        "validation_errors": [{"type": "active_replication_slot", "slot_name": one} for one in slots],
        "warnings": [],
    }


@operation("v1-get-postgres-upgrade-status")
async def upgrade_status(call: Call) -> dict[str, Any]:
    return {"databaseUpgradeStatus": call.project.upgrade}


@operation("v1-list-all-buckets")
async def buckets(call: Call) -> list[dict[str, Any]]:
    async with await _connect(call.project) as connection:
        cursor = await connection.execute(
            "SELECT id, name, coalesce(owner::text, ''), created_at, updated_at, public FROM storage.buckets ORDER BY 1"
        )
        return [
            {
                "id": row[0],
                "name": row[1],
                "owner": row[2],
                "created_at": row[3].isoformat(),
                "updated_at": row[4].isoformat(),
                "public": bool(row[5]),
            }
            for row in await cursor.fetchall()
        ]


@operation("v1-get-storage-config")
async def storage_config(call: Call) -> dict[str, Any]:
    on = {"enabled": True}
    return {
        "fileSizeLimit": 50 * 2**20,
        "features": {
            "imageTransformation": on,
            "s3Protocol": on,
            "icebergCatalog": {"enabled": False, "maxNamespaces": 0, "maxTables": 0, "maxCatalogs": 0},
            "vectorBuckets": {"enabled": False, "maxBuckets": 0, "maxIndexes": 0},
        },
        "capabilities": {"list_v2": True, "iceberg_catalog": False},
        "external": {"upstreamTarget": "main"},
        "migrationVersion": "simulated",
        "databasePoolMode": "transaction",
    }


@operation("v1-get-database-metadata")
async def metadata(call: Call) -> dict[str, Any]:
    async with await _connect(call.project) as connection:
        cursor = await connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
        schemas = [{"name": row[0]} for row in await cursor.fetchall()]
    return {"databases": [{"name": call.project.database, "schemas": schemas}]}


@operation("v1-restart-a-project")
async def restart(call: Call) -> None:
    await call.project.postgres.halt()
    await call.project.postgres.resume()


@operation("v1-scrape-project-metrics")
async def metrics(call: Call) -> Answer:
    """Some of the series of the platform's exporters, with what this database and machine really show."""
    if call.project.status != HEALTHY:
        raise Refused(400, "Project is not active")
    async with await _connect(call.project) as connection:
        cursor = await connection.execute(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " (SELECT setting FROM pg_settings WHERE name = 'max_connections'),"
            " (SELECT sum(pg_database_size(oid))::bigint FROM pg_database),"
            " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,"
            " (SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()),"
            " (SELECT coalesce(sum(xact_commit), 0)::bigint FROM pg_stat_database)"
        )
        row = await cursor.fetchone()
    assert row is not None
    labels = f'{{supabase_project_ref="{call.project.ref}",service_type="db"}}'
    size, used = call.project.disk_bytes, call.project.disk_used or int(row[2])
    series = (
        ("pg_stat_database_num_backends", "gauge", row[0]),
        ("max_connections_connection_count", "gauge", row[1]),
        ("pg_database_size_bytes", "gauge", row[2]),
        ("pg_wal_position_bytes", "counter", row[3]),
        ("pg_wal_size_bytes", "gauge", row[4]),
        ("pg_stat_database_xact_commit_total", "counter", row[5]),
        ("node_filesystem_size_bytes", "gauge", size),
        ("node_filesystem_avail_bytes", "gauge", max(0, size - used)),
        ("pg_up", "gauge", 1),
    )
    text = "".join(
        f"# HELP {name} {name.replace('_', ' ')}\n# TYPE {name} {kind}\n{name}{labels} {value}\n"
        for name, kind, value in series
    )
    return Answer(status=200, body=text.encode(), media="text/plain")


async def _connect(project: Project) -> psycopg.AsyncConnection:
    try:
        return await psycopg.AsyncConnection.connect(project.admin_url, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Refused(544, "Connection terminated due to connection timeout") from error
