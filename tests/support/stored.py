"""What lies in an object store, seen without the agent's code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore

from agent.edges.object_store_bucket import BucketStore
from agent.edges.object_store_supabase import SupabaseStore
from agent.ports import ObjectStore


async def _listed(objects: SupabaseStore, folder: str) -> AsyncIterator[tuple[str, int]]:
    async for row in objects._api.listed(f"{objects._prefix}{folder}".rstrip("/"), page=100):
        name = f"{folder}/{row['name']}" if folder else row["name"]
        if row["id"] is not None:
            yield name, row["metadata"]["size"]
            continue
        async for below in _listed(objects, name):
            yield below


async def stored(objects: ObjectStore, under: str = "") -> list[tuple[str, int]]:
    """Keys and sizes in bytes of all files below a folder, sorted."""
    if isinstance(objects, BucketStore):
        pages = obstore.list(objects._bucket, under or None)
        return sorted([(meta["path"], meta["size"]) async for page in pages for meta in page])
    if isinstance(objects, SupabaseStore):
        return sorted([one async for one in _listed(objects, under)])
    root = Path(unquote(urlsplit(objects.label).path))
    found = [path for path in (root / under).rglob("*") if path.is_file()]
    return sorted((path.relative_to(root).as_posix(), path.stat().st_size) for path in found)
