"""STAND-IN for Storage: buckets, list, upload, resumable upload (TUS 1.0.0), download, signed URLs, remove.

The rows of `storage.objects` are real and read and written as the caller, so that policies hold; the bytes are in
memory. Sources: the calls of `storage3`; tus.io's protocol 1.0.0 (creation, and the core's HEAD and PATCH); Storage
answers most refusals with HTTP 400 and the true status in the body.
"""

from __future__ import annotations

import base64
import binascii
import email.parser
import email.policy
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import psycopg
from starlette.requests import Request

from . import keys
from .gateway import Caller, Failure, as_caller, as_json, caller_of
from .model import Answer
from .project import Project

_BUCKET = "SELECT id, name, coalesce(owner::text, '') AS owner, created_at, updated_at, public, file_size_limit,\
 allowed_mime_types, type::text AS type FROM storage.buckets"
_BUCKET_FIELDS = (
    *("id", "name", "owner", "created_at", "updated_at", "public", "file_size_limit", "allowed_mime_types", "type"),
)


@dataclass(kw_only=True)
class _Upload:
    """A resumable upload that is under way."""

    bucket: str
    name: str
    size: int
    media: str
    caller: Caller
    upsert: bool
    data: bytearray = field(default_factory=bytearray)


class Storage:
    """The Storage service of one project.

    Attributes:
        objects: the bytes, by bucket and name.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._uploads: dict[str, _Upload] = {}
        self.objects: dict[tuple[str, str], bytes] = {}

    async def answer(self, request: Request, path: str) -> Answer:
        """Answer one request; `path`: what follows `/storage/v1/`."""
        parts = [unquote(one) for one in path.split("/")]
        try:
            if path.startswith("object/public/"):
                return await self._public(parts[2], "/".join(parts[3:]))
            if path.startswith("object/sign/") and request.method == "GET":
                return self._signed(request, parts[2], "/".join(parts[3:]))
            caller = caller_of(self._project, request)
            if parts[0] == "bucket":
                return await self._bucket(request, caller, parts[1:])
            if path.startswith("upload/resumable"):
                return await self._resumable(request, caller, parts[2:])
            if parts[0] == "object":
                return await self._object(request, caller, parts[1:])
        except psycopg.errors.InsufficientPrivilege as error:
            raise _failure("403", "Unauthorized", "new row violates row-level security policy") from error
        except psycopg.errors.UniqueViolation as error:
            raise _failure("409", "Duplicate", "The resource already exists") from error
        except psycopg.errors.ForeignKeyViolation as error:
            raise _failure("404", "Bucket not found", "Bucket not found") from error
        except psycopg.OperationalError as error:
            raise _failure("500", "DatabaseError", "Database connection error", http=500) from error
        raise _not_there(request)

    async def _bucket(self, request: Request, caller: Caller, parts: list[str]) -> Answer:
        async with as_caller(self._project, caller) as connection:
            if request.method == "POST" and not parts:
                body = json.loads(await request.body())
                name = body.get("name") or body["id"]
                await connection.execute(
                    "INSERT INTO storage.buckets (id, name, public) VALUES (%s, %s, %s)",
                    [body.get("id") or name, name, body.get("public", False)],
                )
                return as_json({"name": name})
            if request.method == "GET" and not parts:
                cursor = await connection.execute(f"{_BUCKET} ORDER BY id".encode())
                return as_json([dict(zip(_BUCKET_FIELDS, row, strict=True)) for row in await cursor.fetchall()])
            if request.method == "GET":
                cursor = await connection.execute(f"{_BUCKET} WHERE id = %s".encode(), [parts[0]])
                row = await cursor.fetchone()
                if row is None:
                    raise _failure("404", "Bucket not found", "Bucket not found")
                return as_json(dict(zip(_BUCKET_FIELDS, row, strict=True)))
        raise _not_there(request)

    async def _object(self, request: Request, caller: Caller, parts: list[str]) -> Answer:
        if parts[0] == "list" and request.method == "POST":
            return await self._list(caller, parts[1], json.loads(await request.body()))
        if parts[0] == "sign" and request.method == "POST":
            name = "/".join(parts[2:])
            await self._visible(caller, parts[1], name)
            token = keys.sign(self._project, {"url": f"{parts[1]}/{name}"})
            return as_json({"signedURL": f"/object/sign/{parts[1]}/{name}?token={token}"})
        if parts[0] == "info":
            parts = parts[2:] if parts[1] == "authenticated" else parts[1:]
            return as_json(await self._visible(caller, parts[0], "/".join(parts[1:])))
        if request.method == "DELETE" and len(parts) == 1:
            return await self._remove(caller, parts[0], json.loads(await request.body())["prefixes"])
        if request.method in ("GET", "HEAD"):
            parts = parts[1:] if parts[0] == "authenticated" else parts
            bucket, name = parts[0], "/".join(parts[1:])
            found = await self._visible(caller, bucket, name)
            return self._bytes(bucket, name, found["metadata"])
        if request.method in ("POST", "PUT"):
            media, data = _content(request, await request.body())
            upsert = request.method == "PUT" or request.headers.get("x-upsert") == "true"
            return as_json(await self._store(caller, parts[0], "/".join(parts[1:]), media, data, upsert=upsert))
        raise _not_there(request)

    async def _store(
        self, caller: Caller, bucket: str, name: str, media: str, data: bytes, *, upsert: bool
    ) -> dict[str, Any]:
        metadata = {
            "eTag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"',
            "size": len(data),
            "mimetype": media,
            "cacheControl": "max-age=3600",
            "contentLength": len(data),
            "httpStatusCode": 200,
        }
        conflict = (
            " ON CONFLICT (bucket_id, name) DO UPDATE SET metadata = excluded.metadata, updated_at = now()"
            if upsert
            else ""
        )
        async with as_caller(self._project, caller) as connection:
            cursor = await connection.execute(
                "INSERT INTO storage.objects (bucket_id, name, metadata, owner_id, owner, version)"
                f" VALUES (%s, %s, %s, %s, %s, gen_random_uuid()::text){conflict} RETURNING id::text".encode(),
                [bucket, name, json.dumps(metadata), caller.user, caller.user],
            )
            row = await cursor.fetchone()
        self.objects[bucket, name] = data
        return {"Key": f"{bucket}/{name}", "Id": row[0] if row else None}

    async def _visible(self, caller: Caller, bucket: str, name: str) -> dict[str, Any]:
        """The object's row, as far as the caller's policies show it."""
        async with as_caller(self._project, caller) as connection:
            cursor = await connection.execute(
                "SELECT id::text, name, bucket_id, created_at, updated_at, metadata FROM storage.objects"
                " WHERE bucket_id = %s AND name = %s",
                [bucket, name],
            )
            row = await cursor.fetchone()
        if row is None:
            raise _failure("404", "not_found", "Object not found")
        return dict(zip(("id", "name", "bucket_id", "created_at", "updated_at", "metadata"), row, strict=True))

    def _bytes(self, bucket: str, name: str, metadata: dict[str, Any] | None) -> Answer:
        data = self.objects.get((bucket, name))
        if data is None:
            raise _failure("404", "not_found", "Object not found")
        known = metadata or {}
        return Answer(
            status=200,
            body=data,
            media=known.get("mimetype", "application/octet-stream"),
            headers={"etag": str(known.get("eTag", ""))},
        )

    async def _public(self, bucket: str, name: str) -> Answer:
        service = Caller(role="service_role", claims={"role": "service_role"})
        async with as_caller(self._project, service) as connection:
            cursor = await connection.execute("SELECT public FROM storage.buckets WHERE id = %s", [bucket])
            row = await cursor.fetchone()
        if row is None or not row[0]:
            raise _failure("404", "Bucket not found", "Bucket not found")
        return self._bytes(bucket, name, (await self._visible(service, bucket, name))["metadata"])

    def _signed(self, request: Request, bucket: str, name: str) -> Answer:
        claims = keys.read(self._project, request.query_params.get("token", ""))
        if claims is None or claims.get("url") != f"{bucket}/{name}":
            raise _failure("400", "InvalidSignature", "The signature is not valid")
        return self._bytes(bucket, name, None)

    async def _list(self, caller: Caller, bucket: str, body: dict[str, Any]) -> Answer:
        """One level below a prefix: files with their metadata, folders without."""
        prefix = body.get("prefix", "").strip("/")
        prefix = f"{prefix}/" if prefix else ""
        async with as_caller(self._project, caller) as connection:
            cursor = await connection.execute(
                "SELECT name, id::text, created_at, updated_at, last_accessed_at, metadata FROM storage.objects"
                " WHERE bucket_id = %s AND starts_with(name, %s) ORDER BY name",
                [bucket, prefix],
            )
            rows = await cursor.fetchall()
        found: dict[str, dict[str, Any]] = {}
        for name, identity, created, updated, accessed, metadata in rows:
            first, below, _ = name.removeprefix(prefix).partition("/")
            if not first.startswith(body.get("search") or ""):
                continue
            if below:
                empty = dict.fromkeys(("id", "created_at", "updated_at", "last_accessed_at", "metadata"))
                found.setdefault(first, {"name": first, **empty})
            else:
                found[first] = {
                    "name": first,
                    "id": identity,
                    "created_at": created,
                    "updated_at": updated,
                    "last_accessed_at": accessed,
                    "metadata": metadata,
                }
        offset, limit = body.get("offset", 0), body.get("limit", 100)
        return as_json(list(found.values())[offset : offset + limit])

    async def _remove(self, caller: Caller, bucket: str, names: list[str]) -> Answer:
        async with as_caller(self._project, caller, storage__allow_delete_query="true") as connection:
            cursor = await connection.execute(
                "DELETE FROM storage.objects WHERE bucket_id = %s AND name = ANY (%s) RETURNING id::text, name",
                [bucket, names],
            )
            gone = [{"id": row[0], "name": row[1], "bucket_id": bucket} for row in await cursor.fetchall()]
        for one in gone:
            self.objects.pop((bucket, one["name"]), None)
        return as_json(gone)

    async def _resumable(self, request: Request, caller: Caller, parts: list[str]) -> Answer:
        tus = {"tus-resumable": "1.0.0"}
        if not parts and request.method == "POST":
            given = _tus_metadata(request.headers.get("upload-metadata", ""))
            upload = _Upload(
                bucket=given.get("bucketName", ""),
                name=given.get("objectName", ""),
                size=int(request.headers.get("upload-length", "-1")),
                media=given.get("contentType", "application/octet-stream"),
                caller=caller,
                upsert=request.headers.get("x-upsert") == "true",
            )
            if not upload.bucket or not upload.name or upload.size < 0:
                raise _failure("400", "invalid_request", "bucketName, objectName and upload-length are required")
            key = secrets.token_urlsafe(16)
            self._uploads[key] = upload
            await self._finish(key, upload)
            return Answer(status=201, headers={**tus, "location": f"{request.url.path}/{key}"})
        upload_or_none = self._uploads.get(parts[0]) if parts else None
        if upload_or_none is None:
            raise _failure("404", "not_found", "Upload not found", http=404)
        upload = upload_or_none
        if request.method == "HEAD":
            sizes = {"upload-offset": str(len(upload.data)), "upload-length": str(upload.size)}
            return Answer(status=200, headers={**tus, **sizes, "cache-control": "no-store"})
        if request.method != "PATCH":
            raise _not_there(request)
        if request.headers.get("upload-offset") != str(len(upload.data)):
            raise _failure("409", "conflict", "Upload-Offset conflict", http=409)
        upload.data += await request.body()
        if len(upload.data) > upload.size:
            raise _failure("413", "too_large", "Size exceeded", http=413)
        await self._finish(parts[0], upload)
        return Answer(status=204, headers={**tus, "upload-offset": str(len(upload.data))})

    async def _finish(self, key: str, upload: _Upload) -> None:
        """Store an upload that is complete; it can still be asked for its offset."""
        if len(upload.data) == upload.size:
            media, data = upload.media, bytes(upload.data)
            await self._store(upload.caller, upload.bucket, upload.name, media, data, upsert=upload.upsert)


def _failure(status: str, error: str, message: str, *, http: int = 400) -> Failure:
    return Failure(http, {"statusCode": status, "error": error, "message": message})


def _not_there(request: Request) -> Failure:
    what = f"{request.method} {request.url.path}"
    return _failure("404", "not_found", f"The simulator's stand-in for Storage does not have {what}", http=404)


def _content(request: Request, raw: bytes) -> tuple[str, bytes]:
    """Media type and bytes of an upload, which may be the file of a form."""
    media = request.headers.get("content-type", "application/octet-stream")
    if not media.startswith("multipart/form-data"):
        return media, raw
    head = f"content-type: {media}\r\n\r\n".encode()
    for part in email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + raw).iter_parts():
        if part.get_filename() is not None:
            payload = part.get_payload(decode=True)
            return part.get_content_type(), payload if isinstance(payload, bytes) else b""
    raise _failure("400", "invalid_request", "no file in the form")


def _tus_metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata`: names with values in base64."""
    found = {}
    for one in header.split(","):
        name, _, value = one.strip().partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _failure("400", "invalid_request", f"{name} of Upload-Metadata is not base64 text") from error
    return found
