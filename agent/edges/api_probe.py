"""The project's own API through the `supabase` package, which is imported when the first check needs it: 20 MiB, 1 s.

A signed-in user's session is ended with the check. Keys, passwords and tokens appear in no message.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.core.api_checks import ApiAnswer, ApiCheck, ApiFile, ApiKeys, ApiUser, SecretPlace
from agent.core.redaction import Redactor
from agent.errors import InputError, TargetError

if TYPE_CHECKING:
    import httpx
    from supabase import AsyncClient

T = TypeVar("T")
_LONGEST = 300


class SupabaseProbe:
    """Implements `agent.deploy.api_checks.ApiProbe`.

    Args:
        keys: where the API is, and its keys; asked with `service` only where the service key is needed.
        redactor: learns what must appear in no message.
        environment: where secrets are looked up. Default: the process's.
    """

    def __init__(
        self,
        keys: Callable[[bool], Awaitable[ApiKeys]],
        *,
        redactor: Redactor,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._keys = keys
        self._redactor = redactor
        self._environment = os.environ if environment is None else environment

    async def check_ready(self, spec: ApiCheck) -> None:
        """See `ApiProbe`.

        Raises:
            InputError: `api.not_installed`, `api.not_set_up`, `api.no_secret`.
        """
        _library()
        await self._access(spec)
        if isinstance(spec.as_, ApiUser):
            self._credentials(spec.as_)

    @asynccontextmanager
    async def opened(self, spec: ApiCheck, *, timeout_s: float) -> AsyncIterator[ApiCaller]:
        """See `ApiProbe`."""
        supabase, httpx = _library()
        access = await self._access(spec)
        key = access.service if spec.as_ == "service" else access.anon
        assert key is not None  # noqa: S101 - _access has seen to it
        for logger in ("httpx", "httpcore"):
            logging.getLogger(logger).setLevel(logging.WARNING)  # at INFO they write down URLs, signed ones too
        async with httpx.AsyncClient(timeout=timeout_s, trust_env=False, follow_redirects=False) as http:
            options = supabase.AsyncClientOptions(
                schema=spec.schema_,
                auto_refresh_token=False,
                persist_session=False,
                postgrest_client_retry=False,
                httpx_client=http,
            )
            client = await supabase.acreate_client(access.url, key.get_secret_value(), options)
            caller = ApiCaller(client, http, self._redactor, access.url)
            try:
                if isinstance(spec.as_, ApiUser):
                    await caller.sign_in(*self._credentials(spec.as_))
                yield caller
            finally:
                with suppress(TargetError):  # the check has ended with another error, which says more
                    await caller.sign_out()

    async def _access(self, spec: ApiCheck) -> ApiKeys:
        wants_service = spec.as_ == "service"
        access = await self._keys(wants_service)
        if wants_service and access.service is None:
            raise InputError(
                "an api check of the runbook works with the service key, and the agent has none",
                code="api.not_set_up",
                hint="Set api.service_key (DEPLOY_AGENT_API__SERVICE_KEY), or a token that may read secrets.",
                where={"field": "api.service_key"},
            )
        keys = (access.anon, access.service)
        self._redactor.learn(key.get_secret_value() for key in keys if key is not None)
        return access

    def _credentials(self, user: ApiUser) -> tuple[str, str]:
        email, password = self._secret(user.email), self._secret(user.password)
        self._redactor.learn([password])
        return email, password

    def _secret(self, place: SecretPlace) -> str:
        if place.env is not None:
            found = self._environment.get(place.env, "")
        else:
            try:
                found = Path(place.file or "").read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise _no_secret(place, "cannot be read") from error
        if not found:
            raise _no_secret(place, "is not set" if place.env is not None else "is empty")
        return found


class ApiCaller:
    """The API for one user; implements `agent.deploy.api_checks.ApiClient`."""

    def __init__(self, client: AsyncClient, http: httpx.AsyncClient, redactor: Redactor, url: str) -> None:
        self._client = client
        self._http = http
        self._redactor = redactor
        self._url = url
        self._user = ""

    @property
    def user(self) -> str:
        """See `ApiClient`, as for every method here."""
        return self._user

    async def sign_in(self, email: str, password: str) -> None:
        """Begin a session.

        Raises:
            TargetError: `api.sign_in`, `api.unreachable`.
        """
        from supabase import AuthError  # noqa: PLC0415 - see the top

        try:
            answer = await self._reached(
                self._client.auth.sign_in_with_password({"email": email, "password": password})
            )
        except AuthError as error:
            raise TargetError(
                f"the test user cannot sign in: {self._redactor(str(error.message))}",
                code="api.sign_in",
                hint="Make the user in the project, confirm the address, and check both secrets.",
            ) from None
        if answer.user is None or answer.session is None:
            raise TargetError(
                "the test user cannot sign in: Auth answers without a session",
                code="api.sign_in",
                hint="Confirm the user's address, and do without a second factor.",
            )
        self._user = answer.user.id
        self._redactor.learn([answer.session.access_token, answer.session.refresh_token])

    async def sign_out(self) -> None:
        """See `ApiClient`. No other session of the user is ended.

        Raises:
            TargetError: `api.sign_out`, `api.unreachable`.
        """
        from supabase import AuthError  # noqa: PLC0415 - see the top

        if not self._user:
            return
        self._user = ""
        try:
            await self._reached(self._client.auth.sign_out({"scope": "local"}))
        except AuthError as error:
            raise TargetError(
                f"the test user's session could not be ended: {self._redactor(str(error.message))}",
                code="api.sign_out",
                hint="It ends by itself, or sign the user out by hand.",
            ) from None

    async def select(self, table: str, columns: str, where: Mapping[str, Any], *, limit: int) -> ApiAnswer:
        """See `ApiClient`."""
        query = self._client.table(table).select(columns)
        for name, value in where.items():
            query = query.is_(name, "null") if value is None else query.eq(name, _text(value))
        return await self._asked(query.limit(limit).execute())

    async def insert(self, table: str, row: Mapping[str, Any]) -> ApiAnswer:
        """See `ApiClient`."""
        from postgrest import ReturnMethod  # noqa: PLC0415 - see the top

        return await self._asked(self._client.table(table).insert(dict(row), returning=ReturnMethod.minimal).execute())

    async def call(self, function: str, args: Mapping[str, Any]) -> ApiAnswer:
        """See `ApiClient`."""
        return await self._asked(self._client.rpc(function, dict(args)).execute())

    async def file(self, wanted: ApiFile) -> ApiAnswer:
        """See `ApiClient`."""
        from storage3.utils import StorageException  # noqa: PLC0415 - see the top

        if {".", ".."} & set(wanted.path.split("/")):
            return self._failed("bad_path", "a path in Storage has no part that is . or ..")
        bucket = self._client.storage.from_(wanted.bucket)
        try:
            if wanted.by == "list":
                return ApiAnswer(data=await self._reached(bucket.list(wanted.path, {"limit": 1})))
            if wanted.by == "download":
                return ApiAnswer(bytes=len(await self._reached(bucket.download(wanted.path))))
            made = await self._reached(bucket.create_signed_url(wanted.path, 60))
        except StorageException as error:
            return self._failed(str(getattr(error, "code", "")), str(getattr(error, "message", error)))
        response = await self._reached(self._http.get(made["signedURL"] or ""))
        if not response.is_success:
            return self._failed(str(response.status_code), "the signed URL does not work")
        return ApiAnswer(bytes=len(response.content))

    async def _asked(self, query: Awaitable[Any]) -> ApiAnswer:
        from postgrest import APIError  # noqa: PLC0415 - see the top

        try:
            answer = await self._reached(query)
        except APIError as error:
            return self._failed(str(error.code or ""), str(error.message or ""))
        return ApiAnswer(data=answer.data)

    async def _reached(self, request: Awaitable[T]) -> T:
        import httpx  # noqa: PLC0415 - see the top

        try:
            return await request
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(type(error).__name__) from error
        except _retryable() as error:
            raise self._unreachable(self._redactor(str(error))[:_LONGEST]) from None
        except (ValueError, TypeError, KeyError) as error:  # the package's own reading of the answer
            raise TargetError(
                f"what answers at {self._url} is not the project's API, or not as it promises ({type(error).__name__})",
                code="api.bad_answer",
                hint="Look at api.url: perhaps something else answers there.",
            ) from None

    def _unreachable(self, why: str) -> TargetError:
        return TargetError(
            f"the project's API at {self._url} does not answer: {why}",
            code="api.unreachable",
            hint="Look at api.url, at the network, and whether the project is healthy.",
        )

    def _failed(self, code: str, message: str) -> ApiAnswer:
        text = " ".join(self._redactor(message).split())[:_LONGEST]
        return ApiAnswer(code=code or "error", message=text or "an error without words")


def _retryable() -> type[Exception]:
    from supabase_auth.errors import AuthRetryableError  # noqa: PLC0415 - see the top

    return AuthRetryableError


def _library() -> tuple[Any, Any]:
    """The packages.

    Raises:
        InputError: `api.not_installed`.
    """
    try:
        import httpx  # noqa: PLC0415 - see the top
        import supabase  # noqa: PLC0415 - see the top
    except ImportError as error:
        raise InputError(
            "the runbook has api checks, and the package that they need is not installed",
            code="api.not_installed",
            hint="Install it: pip install 'supabase-deploy-agent[api]'",
        ) from error
    return supabase, httpx


def _text(value: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    """As PostgREST reads it in a filter."""
    return str(value).lower() if isinstance(value, bool) else value


def _no_secret(place: SecretPlace, why: str) -> InputError:
    return InputError(
        f"an api check of the runbook takes a secret from {place}, which {why}",
        code="api.no_secret",
        hint="Set it where the agent runs.",
        where={"variable" if place.env is not None else "file": place.env or place.file or ""},
    )
