"""The simulated platform: its projects, tokens, limits, and what a test scripts to go wrong."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from . import contract, keys
from .branches import Branch
from .model import Fault, Recorded, Refused, Token
from .project import ORGANIZATION, Backup, Project

T = TypeVar("T")

WINDOW_S = 60
"""Length of a rate limit's window (Supabase documentation, Management API, rate limits)."""

_LIMITS = {
    "v1-get-database-metadata": 10,
    "v1-get-project-logs": 30,
    "v1-get-project-usage-api-count": 30,
    "v1-get-project-usage-request-count": 30,
    "v1-get-project-function-combined-stats": 30,
    "v1-apply-a-migration": 40,
}


@dataclass(kw_only=True)
class _Scripted:
    fault: Fault
    times: int | None
    after: int


@dataclass(kw_only=True)
class _Window:
    until: float
    used: int = 0


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """How restores go; see `Platform.script_restores`."""

    outcome: Literal["done", "failed", "stuck"] = "done"
    shift_s: int = 0
    late_polls: int = 0
    polls: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Platform:
    """What a test holds while the simulator runs; see the package's docstring.

    Args:
        validate: check requests and answers against the OpenAPI document.

    Attributes:
        url: the Management API's base URL.
        token: a token that may do everything.
        ref: the first project's ref.
        calls: every request of the Management API, in the order in which it was answered.
        api_calls: every request of a project's own API; `operation` is `rest`, `auth` or `storage`.
        violations: answers that broke the contract, which are the simulator's own errors.
        plan: the organization's plan: free, pro, team or enterprise.
        rate_limit: requests a minute for a user, project and endpoint; None: not limited.
        restore_points: whether this customer may use restore points ("select customers").
        maintenance: the maintenance window that is open, from and to; None: none is.
    """

    def __init__(self, *, validate: bool = True) -> None:
        self.contract = contract.load()
        self.validate = validate
        self.url = ""
        self.token = "sbp_" + secrets.token_hex(20)
        self.calls: list[Recorded] = []
        self.api_calls: list[Recorded] = []
        self.violations: list[str] = []
        self.plan = "pro"
        self.rate_limit: int | None = 120
        self.restore_points = True
        self.maintenance: tuple[dt.datetime, dt.datetime] | None = None
        self.organization = ORGANIZATION
        self.projects: dict[str, Project] = {}
        self.branches: dict[str, Branch] = {}
        self.user = "simulated-user"
        self.restoring = Restoring()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.background: set[asyncio.Task[None]] = set()
        self._tokens = {self.token: Token(text=self.token, user=self.user)}
        self._faults: list[_Scripted] = []
        self._windows: dict[tuple[str, str, str], _Window] = {}

    @property
    def project(self) -> Project:
        """The first project."""
        return next(iter(self.projects.values()))

    @property
    def ref(self) -> str:
        """The first project's ref."""
        return self.project.ref

    @property
    def api_url(self) -> str:
        """The first project's own URL, as `supabase.create_client` takes it: `/rest/v1`, `/auth/v1`, `/storage/v1`."""
        return self.url

    def key(self, role: Literal["anon", "service_role"] = "anon") -> str:
        """The first project's API key of a role: the publishable or the secret one."""
        return keys.publishable(self.project) if role == "anon" else keys.secret(self.project)

    def add_user(self, email: str, password: str) -> str:
        """Add a confirmed user who can sign in to the first project; the user's id."""
        assert self.project.api is not None
        return self.run(self.project.api.auth.create(email, password))

    def start_api(self) -> None:
        """Let the first project's PostgREST read its schema cache now, and not at its first request."""
        assert self.project.api is not None
        self.run(self.project.api.rest.start())

    def called(self, operation: str) -> list[Recorded]:
        """The requests of one operation, such as `v1-get-project`."""
        self._known(operation)
        return [one for one in self.calls if one.operation == operation]

    def scoped_token(self, permissions: Iterable[str], *, user: str | None = None) -> str:
        """A scoped token (`sbp_fc…`) that holds only these permissions of the document's `x-fga-permissions`."""
        text = "sbp_fc" + secrets.token_hex(19)
        self._tokens[text] = Token(text=text, user=user or self.user, permissions=frozenset(permissions))
        return text

    def revoke(self, token: str) -> None:
        """Make a token unknown: 401 from now on."""
        del self._tokens[token]

    def fault(
        self,
        operation: str,
        *,
        status: int | None = None,
        message: str | None = None,
        body: bytes | None = None,
        media: str | None = None,
        headers: Mapping[str, str] | None = None,
        missing_permissions: Iterable[str] = (),
        seconds: float = 0.0,
        cut: Literal["before", "after"] | None = None,
        times: int | None = 1,
        after: int = 0,
    ) -> None:
        """Script what goes wrong with an operation; several faults of one operation apply in the order given.

        Args:
            operation: its `operationId`; or `rest`, `auth` or `storage` for a request of a project's own API.
            status: answer with this error instead of doing anything.
            message: the error's message.
            body: answer with these bytes; without `status` the operation is done and its status kept.
            media: the media type of these bytes; None: JSON.
            headers: added to the answer, such as `retry-after`.
            missing_permissions: listed in a 403.
            seconds: answer so much later; the operation is done first.
            cut: cut the connection: `before` anything is done, or `after` it was done and before the answer.
            times: for how many calls; None: for all.
            after: how many calls pass unharmed first.
        """
        self._known(operation)
        fault = Fault(
            operation=operation,
            status=status,
            message=message,
            body=body,
            media=media,
            headers=dict(headers or {}),
            missing_permissions=tuple(missing_permissions),
            seconds=seconds,
            cut=cut,
        )
        self._faults.append(_Scripted(fault=fault, times=times, after=after))

    def script_restores(
        self,
        outcome: Literal["done", "failed", "stuck"] = "done",
        *,
        shift_s: int = 0,
        late_polls: int = 0,
        polls: int = 0,
    ) -> None:
        """Say how the restores that are begun from now on go.

        Args:
            outcome: `failed`: RESTORE_FAILED, and the database is down; `stuck`: RESTORING, and the database is down,
                until `release_restores`.
            shift_s: restore this many seconds after the moment that was asked for.
            late_polls: the project is still ACTIVE_HEALTHY, and running, for so many `GET /v1/projects/{ref}`.
            polls: it is RESTORING for at least so many of them.
        """
        self.restoring = Restoring(outcome=outcome, shift_s=shift_s, late_polls=late_polls, polls=polls)

    def wait_until_stuck(self) -> None:
        """Wait, in another thread, until a restore that will be stuck has stopped the server."""

        async def stuck() -> None:
            await self.restoring.stopped.wait()

        self.run(stuck())

    def release_restores(self) -> None:
        """Let restores go on that are stuck."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.restoring.released.set)

    def take_daily_backup(self) -> Backup:
        """Take a real physical backup now, which is listed and can be restored by its id. Blocks for its time."""
        return self.run(self._take_daily_backup())

    async def _take_daily_backup(self) -> Backup:
        project = self.project
        assert project.physical is not None, "start the simulator with restores=True"
        number = max((one.id for one in project.backups), default=0) + 1
        label = f"daily-{number}"
        made = Backup(id=number, made_at=await project.physical.back_up(label), label=label)
        project.backups.append(made)
        return made

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the simulator's loop, from another thread, and wait for its result."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Do something in the background, for the server; how it fails is a violation."""
        task = asyncio.create_task(coroutine)
        self.background.add(task)
        task.add_done_callback(self._ended)

    def settle(self) -> None:
        """Wait, in another thread, until nothing goes on in the background."""

        async def ended() -> None:
            while self.background:
                await asyncio.wait(self.background)

        self.run(ended())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.violations.append(f"in the background: {type(error).__name__}: {error}")

    @property
    def scripted(self) -> list[Fault]:
        """What goes wrong, or did."""
        return [one.fault for one in self._faults]

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()

    def forget_rate_limits(self) -> None:
        """As if a minute had passed."""
        self._windows.clear()

    def _known(self, operation: str) -> None:
        if operation not in self.contract.operations and operation not in ("rest", "auth", "storage"):
            raise KeyError(f"the document has no operation {operation!r}")

    # what the server asks

    def next_fault(self, operation: str) -> Fault | None:
        """The fault of this call, which counts it."""
        for scripted in self._faults:
            if scripted.fault.operation != operation:
                continue
            if scripted.after:
                scripted.after -= 1
                return None
            if scripted.times is None:
                return scripted.fault
            if scripted.times:
                scripted.times -= 1
                return scripted.fault
        return None

    def authenticate(self, header: str) -> Token:
        """The token of an `Authorization` header.

        Raises:
            Refused: 401.
        """
        kind, _, text = header.partition(" ")
        token = self._tokens.get(text.strip())
        if kind.lower() != "bearer" or token is None:
            raise Refused(401, "Unauthorized")
        return token

    def count(self, user: str, place: str, operation: str) -> dict[str, str]:
        """Count a request; the `x-ratelimit-*` headers.

        Raises:
            Refused: 429, which carries `headers`.
        """
        limit = self.rate_limit
        if limit is None:
            return {}
        limit = min(limit, _LIMITS.get(operation, limit))
        now = time.monotonic()
        window = self._windows.get((user, place, operation))
        if window is None or window.until <= now:
            window = self._windows[user, place, operation] = _Window(until=now + WINDOW_S)
        window.used += 1
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - window.used)),
            "x-ratelimit-reset": str(max(1, round(window.until - now))),
            **({"x-over": "1"} if window.used > limit else {}),
        }

    def visible(self, ref: str) -> Project:
        """A project by its ref.

        Raises:
            Refused: 404.
        """
        found = self.projects.get(ref)
        if found is None or found.status == "REMOVED":
            raise Refused(404, "Project not found")
        return found
