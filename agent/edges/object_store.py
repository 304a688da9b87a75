"""Where backups lie: a local folder, or a bucket of S3, Google Cloud Storage, Azure or Supabase Storage.

A backup is written under a name that nobody looks at and appears whole: in a folder by one rename, in a bucket
by its manifest, which is stored last.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

if TYPE_CHECKING:
    from agent.edges.object_store_bucket import BucketStore
    from agent.edges.object_store_supabase import SupabaseStore

from agent.edges.object_store_folder import FolderStore
from agent.errors import InputError

__all__ = ["FolderStore", "open_object_store"]

_FORMS = "file:///folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or supabase://ref/bucket/prefix"


def open_object_store(
    url: str,
    *,
    options: Mapping[str, str] | None = None,
    storage_key: Callable[[], SecretStr | None] = lambda: None,
    storage_url: str = "",
) -> FolderStore | BucketStore | SupabaseStore:
    """The place that a URL names.

    Args:
        url: `file:///folder`, a plain path, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
            `supabase://ref/bucket/prefix`.
        options: obstore's options of that kind of bucket (`endpoint`, `region`, …); what is not given comes from
            the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
        storage_key: gives the key of Supabase Storage, for each request.
        storage_url: the API of the project that `supabase://` names; "": hosted by Supabase.

    Raises:
        InputError: `input.backup_target`.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return FolderStore(Path(unquote(parts.path)).absolute())
    if parts.scheme == "supabase":
        return _supabase(url, storage_key, storage_url)
    # Only who has a bucket pays for its client: 4 MiB.
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import from_url  # noqa: PLC0415

    from agent.edges.object_store_bucket import BucketStore  # noqa: PLC0415

    label = f"{parts.scheme}://{parts.hostname or ''}{parts.path}".rstrip("/")
    try:
        config: Any = dict(options or {})  # a TypedDict of its own for each kind of bucket
        client: Any = {"timeout": "1h", "read_timeout": "60s", "connect_timeout": "10s"}
        if config.get("endpoint", os.environ.get("AWS_ENDPOINT_URL", "")).startswith("http://"):
            client["allow_http"] = True
        bucket = from_url(url, config=config, client_options=client)
    except (BaseError, ValueError) as error:
        raise InputError(
            f"backup.target {label} cannot be used: {type(error).__name__}",
            code="input.backup_target",
            hint=f"Write {_FORMS}.",
            where={"field": "backup.target"},
        ) from error
    return BucketStore(bucket, label=label)


def _supabase(url: str, key: Callable[[], SecretStr | None], base_url: str) -> SupabaseStore:
    match = re.fullmatch(r"supabase://(?P<ref>[a-z0-9-]+)/(?P<bucket>[\w.-]+)(/(?P<prefix>[\w./-]*))?", url)
    if match is None:
        raise InputError(
            "backup.target is not supabase://, a project's ref, a bucket and perhaps a prefix",
            code="input.backup_target",
            hint="Write supabase://ref/bucket/prefix, of letters, digits, dots, - and _.",
            where={"field": "backup.target"},
        )
    from agent.edges.object_store_supabase import SupabaseStore  # noqa: PLC0415 - httpx is large
    from agent.edges.storage_api import PAUSES_S, StorageApi  # noqa: PLC0415

    ref, bucket = match["ref"], match["bucket"]
    base = f"{base_url.rstrip('/')}/storage/v1" if base_url else f"https://{ref}.storage.supabase.co/storage/v1"
    api = StorageApi(base_url=base, bucket=bucket, key=key, label=f"supabase://{ref}/{bucket}", pauses_s=PAUSES_S)
    return SupabaseStore(api, prefix=(match["prefix"] or "").strip("/"))
