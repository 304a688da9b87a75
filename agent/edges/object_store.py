"""Where backups lie: a local folder, or a bucket of S3, Google Cloud Storage or Azure.

A backup is written under a name that nobody looks at and appears whole: in a folder by one rename, in a bucket
by its manifest, which is stored last.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from agent.edges.object_store_bucket import BucketStore

from agent.edges.object_store_folder import FolderStore
from agent.errors import InputError

__all__ = ["FolderStore", "open_object_store"]


def open_object_store(url: str, *, options: Mapping[str, str] | None = None) -> FolderStore | BucketStore:
    """The place that a URL names.

    Args:
        url: `file:///folder`, a plain path, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
        options: obstore's options of that kind of bucket (`endpoint`, `region`, …); what is not given comes from
            the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`).

    Raises:
        InputError: `input.backup_target`.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return FolderStore(Path(unquote(parts.path)).absolute())
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
            hint="Write file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.",
            where={"field": "backup.target"},
        ) from error
    return BucketStore(bucket, label=label)
