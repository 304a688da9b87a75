"""Supabase Storage over httpx, for one bucket: one request a method, and what its refusals mean.

Facts (supabase.com/docs/guides/storage): files above 6 MB go by resumable upload, TUS 1.0.0, in chunks of exactly
6 MiB, to `https://<ref>.storage.supabase.co/storage/v1/upload/resumable`; an upload that is under way lives for 24
hours. Most refusals come as HTTP 400 with the true status in the body, `{"statusCode", "error", "message"}`, and lately
with a `code` (guides/storage/debugging/error-codes). Without `x-upsert` nothing is overwritten.

Redirects are not followed and the address that an upload is given is not trusted: only its last part is taken, so the
key goes nowhere but to the base URL.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from pydantic import SecretStr

from agent.core.redaction import redact
from agent.edges.object_store_common import missing, refused
from agent.errors import AgentError, BackupError, NotFoundError

CHUNK = 6 << 20
"""Bytes of one part of a resumable upload; Storage takes no other size but for the last one."""

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)
"""How long to wait before each further try of something that does not get on."""

_AGAIN = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 544})
_TIMEOUT = httpx.Timeout(connect=10, read=120, write=120, pool=120)
_BLOCK = 1 << 20
_TUS = {"tus-resumable": "1.0.0"}
_OCTETS = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class BucketFacts:
    """What Storage says of a bucket. `limit`: bytes of its largest file, or None: as the project has it."""

    public: bool
    limit: int | None


class Patience:
    """Waits between tries; what gets on starts anew."""

    def __init__(self, pauses_s: Sequence[float]) -> None:
        self._pauses_s = pauses_s
        self._used = 0

    def fresh(self) -> None:
        """It got on."""
        self._used = 0

    async def wait(self, failure: AgentError) -> None:
        """Wait before another try.

        Raises:
            AgentError: `failure`: there were enough.
        """
        if self._used >= len(self._pauses_s):
            raise failure
        pause = self._pauses_s[self._used]
        self._used += 1
        await asyncio.sleep(pause)


class StorageApi:
    """One bucket of a project's Storage.

    Args:
        base_url: of the service, for instance `https://<ref>.storage.supabase.co/storage/v1`.
        bucket: its name.
        key: the secret key (`sb_secret_…`, or the legacy service_role key), asked for each request.
        label: the bucket for people.
        pauses_s: how long to wait before each further try, such as `PAUSES_S`.
    """

    def __init__(
        self,
        *,
        base_url: str,
        bucket: str,
        key: Callable[[], SecretStr | None],
        label: str,
        pauses_s: Sequence[float],
    ) -> None:
        self.label = label
        self._base_url = base_url
        self._bucket = quote(bucket, safe="")
        self._name = bucket
        self._key = key
        self._pauses_s = pauses_s
        self._client: httpx.AsyncClient | None = None

    def patience(self) -> Patience:
        """For one thing that is to be done."""
        return Patience(self._pauses_s)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def bucket(self) -> BucketFacts:
        """What the bucket is like."""
        found = _parsed(await self._asked("GET", f"bucket/{self._bucket}", what=""))
        if not isinstance(found, dict) or not isinstance(found.get("public"), bool):
            raise self._nonsense("")
        limit = found.get("file_size_limit")
        return BucketFacts(public=found["public"], limit=limit if isinstance(limit, int) else None)

    async def put(self, name: str, content: bytes, *, overwrite: bool) -> None:
        """Store a small object.

        Raises:
            BackupError: also `backup.object_exists`; after a lost answer the object may be our own.
        """
        headers = {"content-type": _OCTETS, "cache-control": "no-cache", "x-upsert": str(overwrite).lower()}
        await self._asked("POST", f"object/{self._bucket}/{quote(name)}", what=name, content=content, headers=headers)

    async def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        try:
            await self._asked("GET", f"object/info/{self._bucket}/{quote(name)}", what=name)
        except NotFoundError:
            return False
        return True

    async def begin(self, name: str, size: int) -> str:
        """Begin a resumable upload; returns its id. One that is never continued comes to nothing."""
        known = {"bucketName": self._name, "objectName": name, "contentType": _OCTETS, "cacheControl": "0"}
        metadata = ",".join(f"{field} {base64.b64encode(value.encode()).decode()}" for field, value in known.items())
        headers = {**_TUS, "upload-length": str(size), "upload-metadata": metadata, "x-upsert": "false"}
        patience = self.patience()
        while True:
            response = await self._tried("POST", "upload/resumable", what=name, headers=headers)
            if isinstance(response, httpx.Response):
                break
            await patience.wait(response)
        upload = str(urlsplit(response.headers.get("location", "")).path.rstrip("/").rpartition("/")[2])
        if response.status_code != 201 or not upload:
            raise self._nonsense(name)
        return upload

    async def append(self, upload: str, name: str, offset: int, block: bytes) -> int | AgentError:
        """Send the next chunk, once.

        Returns:
            How many bytes Storage now has; or what went wrong and may be tried again.

        Raises:
            AgentError: what makes no sense to try again.
        """
        headers = {**_TUS, "upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        path = f"upload/resumable/{quote(upload, safe='')}"
        response = await self._tried("PATCH", path, what=name, content=block, headers=headers)
        if not isinstance(response, httpx.Response):
            return response
        now = _number(response.headers.get("upload-offset"))
        if response.status_code not in (200, 204) or now is None or not offset < now <= offset + len(block):
            raise self._nonsense(name)
        return now

    async def offset(self, upload: str, name: str) -> int | AgentError | None:
        """How many bytes of an upload Storage has, asked once; None: it knows no such upload (any more).

        Returns:
            The number; or what went wrong and may be tried again.
        """
        path = f"upload/resumable/{quote(upload, safe='')}"
        response = await self._tried("HEAD", path, what=name, headers=_TUS, gone=(404, 410))
        if not isinstance(response, httpx.Response):
            return response
        if response.status_code in (404, 410):
            return None
        now = _number(response.headers.get("upload-offset"))
        if now is None:
            raise self._nonsense(name)
        return now

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """An object, a piece at a time; after a cut it goes on where it was."""
        path = f"object/authenticated/{self._bucket}/{quote(name)}"
        patience, got, etag = self.patience(), 0, ""
        while True:
            headers = {"range": f"bytes={got}-"} if got else {}
            try:
                async with self._open().stream("GET", self._url(path), headers=self._headers(headers)) as response:
                    if response.status_code not in (200, 206):
                        status, failure = self._refusal(name, response.status_code, await response.aread())
                        if status not in _AGAIN:
                            raise failure
                        await patience.wait(failure)
                        continue
                    if got and response.headers.get("etag", "") != etag:
                        raise refused(f"{self.label}/{name}", "it was changed while it was read")
                    if response.status_code == 206 and not response.headers.get("content-range", "").startswith(
                        f"bytes {got}-"
                    ):
                        raise self._nonsense(name)
                    etag = response.headers.get("etag", "")
                    known = got if response.status_code == 200 else 0
                    async for block in response.aiter_bytes(_BLOCK):
                        fresh = block[known:]
                        known -= len(block) - len(fresh)
                        if fresh:
                            got += len(fresh)
                            patience.fresh()
                            yield fresh
                    return
            except httpx.TransportError as error:
                await patience.wait(self._unreachable(name, error))

    async def listed(self, folder: str, *, page: int) -> AsyncIterator[Mapping[str, Any]]:
        """What lies directly in a folder: files, and folders whose `id` is None; page by page."""
        offset = 0
        while True:
            asked = {"prefix": folder, "limit": page, "offset": offset, "sortBy": {"column": "name", "order": "asc"}}
            rows = _parsed(await self._asked("POST", f"object/list/{self._bucket}", what=folder, body=asked))
            if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("name") for row in rows):
                raise self._nonsense(folder)
            for row in rows:
                yield row
            if not rows:
                return
            offset += len(rows)

    async def remove(self, names: Sequence[str]) -> set[str]:
        """Delete objects; returns which there were."""
        gone = _parsed(
            await self._asked("DELETE", f"object/{self._bucket}", what=names[0], body={"prefixes": list(names)})
        )
        if not isinstance(gone, list):
            raise self._nonsense(names[0])
        return {str(row.get("name")) for row in gone if isinstance(row, dict)}

    async def _asked(self, method: str, path: str, *, what: str, **request: Any) -> bytes:  # noqa: ANN401 - as _tried
        """The body of a success; what may be tried again is tried again."""
        patience = self.patience()
        while True:
            response = await self._tried(method, path, what=what, **request)
            if isinstance(response, httpx.Response):
                return response.content
            await patience.wait(response)

    async def _tried(
        self,
        method: str,
        path: str,
        *,
        what: str,
        content: bytes | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        gone: Sequence[int] = (),
    ) -> httpx.Response | AgentError:
        """Ask once: the answer, or what may be tried again.

        Raises:
            AgentError: what makes no sense to try again.
        """
        try:
            response = await self._open().request(
                method, self._url(path), content=content, json=body, headers=self._headers(headers or {})
            )
        except httpx.TransportError as error:
            if "[SSL" in str(error):
                raise self._unreachable(what, error) from None
            return self._unreachable(what, error)
        if 200 <= response.status_code < 300 or response.status_code in gone:
            return response
        status, failure = self._refusal(what, response.status_code, response.content)
        if status in _AGAIN and failure.code == "backup.target_failed":
            return failure
        raise failure

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            for logger in ("httpx", "httpcore"):
                logging.getLogger(logger).setLevel(logging.WARNING)  # at INFO they write down URLs
            self._client = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False)
        return self._client

    def _url(self, path: str) -> str:
        return f"{self._base_url}/{path}"

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        key = self._key()
        if key is None:
            raise BackupError(
                f"there is no key for {self.label}",
                code="backup.key_refused",
                hint="Set backup.storage_key to a secret key of the project that the bucket is in.",
            )
        value = key.get_secret_value()
        return {"apikey": value, "authorization": f"Bearer {value}", "accept-encoding": "identity", **more}

    def _where(self, what: str) -> str:
        return f"{self.label}/{what}" if what else self.label

    def _nonsense(self, what: str) -> BackupError:
        return refused(self._where(what), "the answer is not Storage's; look at backup.storage_url")

    def _unreachable(self, what: str, error: httpx.TransportError) -> BackupError:
        why = "the TLS certificate is not accepted" if "[SSL" in str(error) else f"no answer ({type(error).__name__})"
        return BackupError(
            f"{self._where(what)} cannot be reached: {why}",
            code="backup.storage_unreachable",
            hint="Check backup.target, backup.storage_url and the network; see https://status.supabase.com.",
        )

    def _refusal(self, what: str, status: int, body: bytes) -> tuple[int, AgentError]:
        """The true status of an answer that is no success, and what it means."""
        found = _parsed(body)
        said = found if isinstance(found, dict) else {}
        if status == 400:
            status = _number(str(said.get("statusCode", ""))) or status
        code = str(said.get("code") or said.get("error") or "")
        words = redact(" ".join(str(said.get("message") or "").split()))[:300]
        return status, _meaning(self.label, self._where(what), status, code, words)


def _meaning(label: str, where: str, status: int, code: str, words: str) -> AgentError:
    told = f"HTTP {status}{f': {words}' if words else ''}"
    if status == 404 and "bucket" in f"{code} {words}".lower():
        return BackupError(
            f"there is no bucket {label}, or the key may not see it",
            code="backup.bucket_missing",
            hint="Make a private bucket of that name in that project, and set backup.storage_key to a secret key.",
        )
    if status == 413 or code == "EntityTooLarge":
        return BackupError(
            f"{where} is larger than Storage takes: {told}",
            code="backup.file_too_large",
            hint="Raise the file size limit of the bucket, and of the project (Storage settings).",
        )
    if status == 402 or "quota" in words.lower():
        return BackupError(
            f"{where}: the quota of the project that the bucket is in is used up: {told}",
            code="backup.quota",
            hint="Remove old backups, raise the spend cap or the plan of that project, or choose another target.",
        )
    if code in ("Duplicate", "KeyAlreadyExists", "ResourceAlreadyExists") or "already exists" in words.lower():
        return object_exists(where)
    if status in (401, 403) or re.search(r"\bjw[st]\b|invalid compact", f"{code} {words}".lower()):
        return BackupError(
            f"Storage refuses the key for {where}: {told}",
            code="backup.key_refused",
            hint="Set backup.storage_key to a secret key (sb_secret_…) of the project that the bucket is in.",
        )
    return missing(where) if status == 404 else refused(where, told)


def object_exists(where: str) -> BackupError:
    """Something lies where something new was to be stored."""
    return BackupError(
        f"{where} is there already, and nothing is overwritten",
        code="backup.object_exists",
        hint="Another agent may use the same project name and prefix: give each its own.",
    )


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - any JSON, or None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None
