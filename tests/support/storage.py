"""Backups in the simulated Storage: a private bucket, and a store without long pauses."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr

from agent.edges.object_store_supabase import SupabaseStore
from agent.edges.storage_api import StorageApi
from tests.simulator import Platform, keys
from tests.support.oracle import psql

BUCKET = "backups"


def make_bucket(platform: Platform, name: str = BUCKET, *, public: bool = False, limit: int | None = None) -> None:
    """A bucket of the first project."""
    size = "null" if limit is None else str(limit)
    psql(
        platform.project.admin_url,
        "insert into storage.buckets (id, name, public, file_size_limit)"
        f" values ('{name}', '{name}', {str(public).lower()}, {size})",
    )


def storage(platform: Platform, bucket: str = BUCKET, *, prefix: str = "some/prefix", **more: Any) -> SupabaseStore:
    """The bucket as a place of backups.

    Args:
        more: `key` instead of the project's secret key, `base_url`, `page`.
    """
    key = SecretStr(more.get("key", keys.secret(platform.project)))
    api = StorageApi(
        base_url=more.get("base_url", f"{platform.url}/storage/v1"),
        bucket=bucket,
        key=lambda: key,
        label=f"supabase://{platform.ref}/{bucket}",
        pauses_s=(0.01,) * 4,
    )
    return SupabaseStore(api, prefix=prefix, page=more.get("page", 2))


def refusal(
    platform: Platform, status: str, error: str, message: str, *, after: int = 0, times: int | None = 1
) -> None:
    """The next request of Storage is refused as Storage does it: HTTP 400, and the true status in the body."""
    body = json.dumps({"statusCode": status, "error": error, "message": message}).encode()
    platform.fault("storage", status=400, body=body, after=after, times=times)


def asked(platform: Platform) -> list[str]:
    """What was asked of Storage: method and path behind `/storage/v1/`."""
    return [
        f"{one.method} {one.path.removeprefix('/storage/v1/')}"
        for one in platform.api_calls
        if one.operation == "storage"
    ]
