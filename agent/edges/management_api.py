"""Supabase's Management API over httpx: one request a method, and what the answer means.

Redirects are not followed; they would carry the token away. The token appears in no error, no evidence and no log
(httpx logs URLs at INFO, so that logger is quieted). Nothing is decided here but whether a request may be sent again:

    a read, or what `Operation.repeats` says       after no answer, and after the codes of `TRY_AGAIN`
    a request with an effect                       only where it cannot have arrived (no connection), and after 429

with pauses that grow, and within a deadline. A request with an effect that may have arrived, and whose answer does not
say, raises `platform.in_doubt`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from agent import __version__
from agent.core import platform as model
from agent.core.platform_operations import OPERATIONS, Operation
from agent.core.redaction import Redactor
from agent.edges import management_api_errors as errors
from agent.edges.management_api_budget import Budget, Key, budget_of
from agent.errors import InputError, PlatformError, StatementError
from agent.ports.platform import Advisor

HOSTED = "https://api.supabase.com"
LARGEST = 32 << 20
"""Bytes of an answer; a larger one is not believed."""

_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0
_ATTEMPTS = 4
_SLOW = frozenset(
    {"query", "read_only_query", "security_advisors", "performance_advisors", "run_advisors", "login_role"}
)
"""They run SQL; the query route gives up after about a minute (guides/database/timeouts)."""

T = TypeVar("T")

_SQL = frozenset({OPERATIONS["query"].id, OPERATIONS["read_only_query"].id})
_PLACE = re.compile(r"\{\w+\}")


class _Lints(model.PlatformModel):
    lints: tuple[model.Lint, ...]


class _RunAttributes(model.PlatformModel):
    attributes: _Lints


class _Run(model.PlatformModel):
    data: _RunAttributes


class _Addons(model.PlatformModel):
    selected_addons: tuple[model.Addon, ...]


class _Region(model.PlatformModel):
    id: str
    attributes: model.Maintenance


class _Regions(model.PlatformModel):
    data: tuple[_Region, ...]


class _Deleted(model.PlatformModel):
    message: str


_Rows = tuple[dict[str, Any], ...]
_Settings = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long to wait, and by which clock.

    `timeout_s`: for one answer, from the first byte sent to the last one read; `slow_timeout_s`: for what runs SQL or
    has an effect. `deadline_s`: for all attempts of a read together, slow ones have that much on top of one timeout.
    """

    timeout_s: float = 10.0
    slow_timeout_s: float = 90.0
    deadline_s: float = 30.0
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random

    def of(self, name: str) -> tuple[float, float]:
        """One attempt's timeout and the deadline of all, in seconds."""
        if name in _SLOW or not OPERATIONS[name].repeats:
            return self.slow_timeout_s, self.slow_timeout_s + self.deadline_s
        return self.timeout_s, self.deadline_s


@dataclass(frozen=True, kw_only=True)
class _Request:
    operation: Operation
    path: str
    params: Mapping[str, str | list[str]]
    json: Mapping[str, Any] | None

    @property
    def shown(self) -> str:
        return f"{self.operation.method} {self.path}"


@dataclass(frozen=True, kw_only=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Failed(Exception):  # noqa: N818 - it carries an error, it is not one
    """One attempt that brought no success.

    `arrived`: the request may have reached the API and taken effect. `again`: another attempt may succeed. `wait_s`:
    what the API asks to wait before.
    """

    def __init__(
        self,
        error: PlatformError | StatementError,
        *,
        arrived: bool,
        again: bool,
        wait_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.arrived = arrived
        self.again = again
        self.wait_s = wait_s
        self.status = status


class _GoneError(Exception):
    """What an earlier attempt, whose answer was lost, may have deleted is not there."""


class ManagementApi:
    """One project; implements `ports.Platform`.

    Args:
        ref: the project's.
        token: asked for each request, it may change: a personal access token, legacy or scoped, or an OAuth app's.
        base_url: where the API is; https, or http on loopback.
        ca_file: certificates in PEM form that are trusted instead of the public ones.
        proxy: an http proxy's URL; variables of the environment are not looked at.
        budget: counts the requests; None: the token's, shared by all of this process.
        on_call: hears of each request, whoever it was for.

    Raises:
        InputError: `settings.platform_ca_file`: it cannot be read, or holds no certificate.
    """

    def __init__(
        self,
        *,
        ref: str,
        token: Callable[[], SecretStr],
        base_url: str = HOSTED,
        ca_file: Path | None = None,
        proxy: SecretStr | None = None,
        timing: Timing | None = None,
        budget: Budget | None = None,
        on_call: Callable[[model.Call], None] = lambda _: None,
    ) -> None:
        for logger in ("httpx", "httpcore"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        self._ref = ref
        self._token = token
        self._base_url = base_url.rstrip("/")
        self._proxy = proxy
        self._timing = timing or Timing()
        self._budget = budget or budget_of(token().get_secret_value())
        self._listeners = [on_call]
        self._tls: ssl.SSLContext | bool = _trust(ca_file) if ca_file else True
        self._client: httpx.AsyncClient | None = None
        self._project: model.Project | None = None
        self._asking = asyncio.Lock()

    @property
    def _redactor(self) -> Redactor:
        return Redactor([self._token().get_secret_value()])

    @property
    def ref(self) -> str:
        """See `ports.Platform`, as for every method here."""
        return self._ref

    def on_call(self, listener: Callable[[model.Call], None] | None) -> None:
        """See `ports.Platform`."""
        self._listeners[1:] = [] if listener is None else [listener]

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def project(self) -> model.Project:
        """See `ports.Platform`."""
        self._project = await self._ask("project", model.Project)
        return self._project

    async def health(self, services: Sequence[str]) -> tuple[model.ServiceHealth, ...]:
        """See `ports.Platform`."""
        return await self._ask("health", tuple[model.ServiceHealth, ...], params={"services": list(services)})

    async def backups(self) -> model.Backups:
        """See `ports.Platform`."""
        return await self._ask("backups", model.Backups)

    async def restore_pitr(self, at: int) -> None:
        """See `ports.Platform`."""
        await self._ask("restore_pitr", NoneType, json={"recovery_time_target_unix": at})

    async def create_restore_point(self, name: str) -> model.RestorePoint:
        """See `ports.Platform`."""
        return await self._ask("create_restore_point", model.RestorePoint, json={"name": name})

    async def restore_point(self, name: str | None = None) -> model.RestorePoint:
        """See `ports.Platform`."""
        params = {} if name is None else {"name": name}
        return await self._ask("restore_point", model.RestorePoint, params=params)

    async def undo(self, name: str) -> None:
        """See `ports.Platform`."""
        await self._ask("undo", NoneType, json={"name": name})

    async def read_only(self) -> model.ReadOnly:
        """See `ports.Platform`."""
        return await self._ask("read_only", model.ReadOnly)

    async def disk(self) -> model.Disk:
        """See `ports.Platform`."""
        return await self._ask("disk", model.Disk)

    async def poolers(self) -> tuple[model.Pooler, ...]:
        """See `ports.Platform`."""
        return await self._ask("poolers", tuple[model.Pooler, ...])

    async def login_role(self, *, read_only: bool) -> model.LoginRole:
        """See `ports.Platform`."""
        return await self._ask("login_role", model.LoginRole, json={"read_only": read_only})

    async def advisors(self, kind: Advisor) -> tuple[model.Lint, ...]:
        """See `ports.Platform`."""
        return (await self._ask(f"{kind}_advisors", _Lints)).lints

    async def run_advisors(self, lints: Sequence[str]) -> tuple[model.Lint, ...]:
        """See `ports.Platform`."""
        wanted = {"type": "project_advisors", "attributes": {"lints": [{"name": one} for one in lints]}}
        return (await self._ask("run_advisors", _Run, json={"data": wanted})).data.attributes.lints

    async def query(
        self, sql: str, parameters: Sequence[Any] = (), *, read_only: bool = False
    ) -> tuple[Mapping[str, Any], ...]:
        """See `ports.Platform`."""
        body: dict[str, Any] = {"query": sql}
        if parameters:
            body["parameters"] = list(parameters)
        return await self._ask("read_only_query" if read_only else "query", _Rows, json=body)

    async def metrics(self) -> str:
        """See `ports.Platform`."""
        return await self._ask("metrics", str)

    async def settings(self) -> Mapping[str, str | int | float | bool]:
        """See `ports.Platform`."""
        found: dict[str, str | int | float | bool | None] = await self._ask("settings", _Settings)
        return {key: value for key, value in found.items() if value is not None}

    async def api_keys(self, *, reveal: bool) -> tuple[model.ApiKey, ...]:
        """See `ports.Platform`."""
        return await self._ask("api_keys", tuple[model.ApiKey, ...], params={"reveal": "true"} if reveal else {})

    async def network_restrictions(self) -> model.NetworkRestrictions:
        """See `ports.Platform`."""
        return await self._ask("network_restrictions", model.NetworkRestrictions)

    async def network_bans(self) -> model.NetworkBans:
        """See `ports.Platform`."""
        return await self._ask("network_bans", model.NetworkBans)

    async def upgrade_status(self) -> model.UpgradeStatus:
        """See `ports.Platform`."""
        return await self._ask("upgrade_status", model.UpgradeStatus)

    async def upgrade_eligibility(self) -> model.UpgradeEligibility:
        """See `ports.Platform`."""
        return await self._ask("upgrade_eligibility", model.UpgradeEligibility)

    async def addons(self) -> tuple[model.Addon, ...]:
        """See `ports.Platform`."""
        return (await self._ask("addons", _Addons)).selected_addons

    async def entitlements(self) -> model.Entitlements:
        """See `ports.Platform`."""
        project = await self._known()
        return await self._ask("entitlements", model.Entitlements, place=project.organization_slug)

    async def maintenance(self) -> model.Maintenance | None:
        """See `ports.Platform`."""
        project = await self._known()
        try:
            found = await self._ask("maintenance", _Regions, place=project.organization_slug)
        except PlatformError as error:
            if error.status in (404, 501):
                return None
            raise
        return next((one.attributes for one in found.data if one.id == project.region), None)

    async def _known(self) -> model.Project:
        """The project as it was told last; asked for once, however many want to know."""
        async with self._asking:
            return self._project or await self.project()

    async def branches(self) -> tuple[model.Branch, ...]:
        """See `ports.Platform`."""
        return await self._ask("branches", tuple[model.Branch, ...])

    async def create_branch(self, name: str, *, with_data: bool = False, instance_size: str = "") -> model.Branch:
        """See `ports.Platform`."""
        body: dict[str, Any] = {"branch_name": name, "with_data": with_data}
        if instance_size:
            body["desired_instance_size"] = instance_size
        return await self._ask("create_branch", model.Branch, json=body)

    async def branch(self, ref: str) -> model.BranchDetail:
        """See `ports.Platform`."""
        return await self._ask("branch", model.BranchDetail, place=ref)

    async def delete_branch(self, ref: str) -> None:
        """See `ports.Platform`."""
        try:
            await self._ask("delete_branch", _Deleted, place=ref)
        except _GoneError:
            return

    async def _ask(
        self,
        name: str,
        answer: type[T],
        *,
        place: str = "",
        params: Mapping[str, str | list[str]] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> T:
        """One request until its answer, or until no more may be sent.

        Args:
            place: the organization's slug or the branch's ref; "": the project's ref.
        """
        operation = OPERATIONS[name]
        place = place or self._ref
        request = _Request(
            operation=operation, path=_PLACE.sub(quote(place, safe=""), operation.path), params=params or {}, json=json
        )
        timeout_s, deadline_s = self._timing.of(name)
        ends = self._timing.monotonic() + deadline_s
        lost = False
        attempt = 0
        while True:
            attempt += 1
            await self._wait_for_budget(request, (place, operation.id), ends)
            try:
                return await self._attempt(request, (place, operation.id), answer, attempt, timeout_s)
            except _Failed as failed:
                if operation.method == "DELETE" and lost and failed.status == 404:
                    raise _GoneError(failed.error.message) from None
                lost = lost or failed.arrived
                if failed.arrived and not operation.repeats:
                    raise errors.in_doubt(operation, failed.error) from None
                pause = self._pause(attempt, failed.wait_s)
                late = self._timing.monotonic() + pause >= ends
                if late or attempt >= _ATTEMPTS or not failed.again:
                    raise failed.error from None
            await self._timing.sleep(pause)

    def _pause(self, attempt: int, wait_s: float | None) -> float:
        if wait_s is not None:
            return wait_s + self._timing.jitter() * _PAUSE_S
        return min(_PAUSE_S * (1 << attempt), _LONGEST_PAUSE_S) * (0.5 + self._timing.jitter() / 2)

    async def _wait_for_budget(self, request: _Request, key: Key, ends: float) -> None:
        while wait := self._budget.take(key):
            if self._timing.monotonic() + wait >= ends:
                raise PlatformError(
                    f"{request.shown} was not sent: the agent has asked this as often as the platform allows, and may "
                    f"again in {wait:.0f} s",
                    code="platform.rate_limited",
                    hint="Let fewer deploys run at once with one token, or wait a minute.",
                    where=errors.where(request.operation, request.path),
                )
            await self._timing.sleep(wait)

    async def _attempt(self, request: _Request, key: Key, answer: type[T], attempt: int, timeout_s: float) -> T:
        """Send it once, and take what comes back.

        Raises:
            _Failed: there is no success.
        """
        began = self._timing.monotonic()
        status: int | None = None
        code = "cancelled"
        try:
            async with asyncio.timeout(timeout_s):  # httpx limits each read, not the whole
                response = await self._send(request)
            status = response.status
            result = self._judged(request, key, response, answer)
            code = ""
        except TimeoutError:
            code = "platform.timeout"
            error = self._error(request, code, f"was not answered within {timeout_s:g} s")
            raise _Failed(error, arrived=True, again=True) from None
        except _Failed as failed:
            code = failed.error.code
            raise
        else:
            return result
        finally:
            call = model.Call(
                method=request.operation.method,
                path=request.path,
                status=status,
                seconds=round(self._timing.monotonic() - began, 3),
                attempt=attempt,
                code=code,
            )
            for listener in self._listeners:
                listener(call)

    async def _send(self, request: _Request) -> _Response:
        """The answer, whatever its status.

        Raises:
            _Failed: there is none, or it is too large.
        """
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=None,  # noqa: S113 - the caller has one for the whole
                verify=self._tls,
                proxy=self._proxy.get_secret_value() if self._proxy else None,
                trust_env=False,
                follow_redirects=False,
                # A connection that the API has closed meanwhile would leave a request with an effect in doubt.
                limits=httpx.Limits(max_keepalive_connections=0),
                headers={"user-agent": f"supabase-deploy-agent/{__version__}"},
            )
        try:
            message = self._client.build_request(
                request.operation.method,
                self._base_url + request.path,
                params=dict(request.params),
                json=request.json,
                headers={
                    "authorization": f"Bearer {self._token().get_secret_value()}",
                    "accept": ", ".join(request.operation.answers) or "application/json",
                },
            )
            response = await self._client.send(message, stream=True)
            try:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST:
                        why = f"it is larger than {LARGEST >> 20} MiB"
                        raise _Failed(self._bad(request, response.status_code, why), arrived=True, again=False)
            finally:
                await response.aclose()
        # The library's errors are cut off: they carry the request with the token.
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise self._no_connection(request, error) from None
        except httpx.DecodingError:
            raise _Failed(self._bad(request, None, "its compression is broken"), arrived=True, again=False) from None
        except httpx.HTTPError as error:
            cut = self._error(request, "platform.unreachable", f"was cut off ({type(error).__name__})")
            raise _Failed(cut, arrived=True, again=True) from None
        return _Response(status=response.status_code, headers=response.headers, body=bytes(body))

    def _no_connection(self, request: _Request, error: httpx.HTTPError) -> _Failed:
        if "[SSL" in str(error):
            refused = self._error(request, "platform.tls_refused", "was not sent: the TLS certificate is not accepted")
            refused.hint = "Set platform.ca_file to the CA of a platform of your own; else somebody listens in between."
            return _Failed(refused, arrived=False, again=False)
        what = "the proxy refuses" if isinstance(error, httpx.ProxyError) else f"no connection ({type(error).__name__})"
        return _Failed(self._error(request, "platform.unreachable", f"was not sent: {what}"), arrived=False, again=True)

    def _judged(self, request: _Request, key: Key, response: _Response, answer: type[T]) -> T:
        """What a success says, in its form.

        Raises:
            _Failed: it is no success, or not in the form that the API promises.
        """
        operation, status, body = request.operation, response.status, response.body
        wait_s = self._budget.heard(key, response.headers, refused=status == 429)
        if status >= 400:
            if operation.id in _SQL and (said := errors.sql_failed(body, self._redactor)) is not None:
                raise _Failed(said, arrived=False, again=False, status=status)
            error = errors.refused(operation, request.path, status, body, self._redactor)
            arrived = errors.leaves_doubt(status, body)
            raise _Failed(error, arrived=arrived, again=status in errors.TRY_AGAIN, wait_s=wait_s, status=status)
        if not 200 <= status < 300 or (operation.successes and status not in operation.successes):
            why = "a redirect, which is not followed" if 300 <= status < 400 else f"HTTP {status} is not promised"
            raise _Failed(self._bad(request, status, why), arrived=True, again=False, status=status)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (operation.answers or ("", "application/json", "text/plain")):
            why = f"its content type is {kind[:60] or 'missing'}, not {' or '.join(operation.answers) or 'none'}"
            raise _Failed(self._bad(request, status, why), arrived=True, again=False, status=status)
        reader = _reader(answer)
        try:
            if answer is NoneType:
                return reader.validate_python(None)
            if answer is str:
                return reader.validate_python(body.decode("utf-8"))
            return reader.validate_json(body, strict=True)
        except UnicodeDecodeError:
            why = "it is not UTF-8"
        except ValidationError as error:
            why = _first(error)
        raise _Failed(self._bad(request, status, why), arrived=True, again=False, status=status)

    def _error(self, request: _Request, code: str, what: str) -> PlatformError:
        return PlatformError(
            f"{request.shown} {what}",
            code=code,
            hint="Check platform.base_url, platform.proxy and the network; see https://status.supabase.com.",
            where=errors.where(request.operation, request.path),
        )

    def _bad(self, request: _Request, status: int | None, why: str) -> PlatformError:
        return errors.bad_answer(request.operation, request.path, status, why)


_readers: dict[Any, TypeAdapter[Any]] = {}


def _reader(answer: type[T]) -> TypeAdapter[T]:
    return _readers.setdefault(answer, TypeAdapter(answer)) if answer not in _readers else _readers[answer]


def _first(error: ValidationError) -> str:
    """The first thing that is wrong with an answer; values are never quoted."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return "it is not JSON"
    place = ".".join(str(part) for part in first["loc"][:8])
    return f"{place or 'the whole'}: {first['msg'][:120]}"


def _trust(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # SSLError is one
        why = error.strerror if not isinstance(error, ssl.SSLError) and error.strerror else "it holds no certificate"
        raise InputError(
            f"platform.ca_file {ca_file} cannot be used: {why}",
            code="settings.platform_ca_file",
            hint="Name a file with the CA's certificates in PEM form.",
            where={"field": "platform.ca_file", "file": str(ca_file)},
        ) from error
