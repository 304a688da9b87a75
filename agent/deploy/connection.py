"""Connections with the platform's help: errors that name the right connection, and temporary login roles."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from pydantic import SecretStr

from agent.core.platform_connection import Known, advice, login_url, session_pooler
from agent.errors import PlatformError, TargetError
from agent.ports import Clock, Platform, Session, Target, closed_at_end

T = TypeVar("T")

_HELPED = frozenset({"target.unreachable", "target.auth_failed", "target.refused", "target.transaction_pooler"})
_KNOWN_FOR = timedelta(seconds=60)
_RENEW_AGAIN_S = 15.0


class HelpedTarget:
    """A target whose connection errors say what the platform knows of the right connection; implements `ports.Target`.

    Args:
        inner: makes the connections.
        renew: gives fresh credentials after a login was refused; None: there are none to give. Returns whether they
            are worth another attempt.
    """

    def __init__(
        self, inner: Target, platform: Platform, clock: Clock, *, renew: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        self._inner = inner
        self._platform = platform
        self._clock = clock
        self._renew = renew
        self._known: tuple[datetime, Known] | None = None

    @property
    def label(self) -> str:
        """See `ports.Target`."""
        return self._inner.label

    async def connect(self, *, purpose: str) -> Session:
        """See `ports.Target`."""
        try:
            return await self._inner.connect(purpose=purpose)
        except TargetError as error:
            refused = error
        if refused.code == "target.auth_failed" and self._renew is not None and await self._renew():
            try:
                return await self._inner.connect(purpose=purpose)
            except TargetError as error:
                refused = error
        if refused.code in _HELPED:
            said = advice(
                await self._ask(), ref=self._platform.ref, code=refused.code, host=self.label.rpartition(":")[0]
            )
            refused.hint = f"{said} {refused.hint}".strip()
        raise refused

    def session(self, *, purpose: str) -> AbstractAsyncContextManager[Session]:
        """See `ports.Target`."""
        return closed_at_end(self.connect(purpose=purpose))

    async def _ask(self) -> Known:
        """What the platform says now; a look that failed leaves that part out, and counts for a minute like any."""
        now = self._clock.now()
        if self._known is None or now - self._known[0] > _KNOWN_FOR:
            platform = self._platform
            project, poolers, addons, bans = await asyncio.gather(
                _or_none(platform.project()),
                _or_none(platform.poolers()),
                _or_none(platform.addons()),
                _or_none(platform.network_bans()),
            )
            self._known = (now, Known(project=project, poolers=poolers, addons=addons, bans=bans))
        return self._known[1]


async def _or_none(asked: Awaitable[T]) -> T | None:
    try:
        return await asked
    except PlatformError:
        return None


@dataclass(frozen=True, kw_only=True)
class Login:
    """A URL with a temporary role, the time from which another is wanted, and that at which it ends."""

    url: SecretStr
    renew_at: datetime
    ends_at: datetime


class Logins:
    """The logins of this process, by project: a new one makes the platform forget the password of the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, Login] = {}

    def get(self, ref: str) -> Login | None:
        """The newest."""
        with self._lock:
            return self._found.get(ref)

    def put(self, ref: str, login: Login) -> None:
        """It counts from now on, for all of the process."""
        with self._lock:
            self._found[ref] = login


LOGINS = Logins()


class TemporaryLogin:
    """Keeps a temporary login role at hand: asked for at the beginning, renewed when half of its time is over.

    Sessions that stand outlive their role's password. While the platform cannot be asked, the last role counts until
    its end; after that `fallback`, if it has a password.

    Args:
        url: `database_url`; None: the session pooler's address is asked for.
        fallback: whether `url` holds a password of its own.
        learn: hears each new password before anybody else, to mask it.
        tell: hears of a renewal that failed.
        logins: shared by all of this process.
    """

    def __init__(
        self,
        platform: Platform,
        clock: Clock,
        *,
        url: SecretStr | None,
        fallback: bool,
        learn: Callable[[Sequence[str]], None],
        tell: Callable[[PlatformError], None],
        logins: Logins = LOGINS,
    ) -> None:
        self._platform = platform
        self._clock = clock
        self._url = url
        self._fallback = url if fallback else None
        self._logins = logins
        self._learn = learn
        self._tell = tell
        self._task: asyncio.Task[None] | None = None

    def dsn(self) -> SecretStr:
        """The URL to connect with now."""
        login = self._logins.get(self._platform.ref)
        if login is None or (login.ends_at <= self._clock.now() and self._fallback is not None):
            assert self._fallback is not None  # noqa: S101 - else __aenter__ has raised
            return self._fallback
        return login.url

    async def renew(self) -> bool:
        """Ask for a new role now, whatever the old one; False: the platform could not be asked."""
        try:
            await self._ask()
        except PlatformError as error:
            self._tell(error)
            return False
        return True

    async def _ask(self) -> Login:
        ref = self._platform.ref
        place = None if self._url else session_pooler(await self._platform.poolers(), ref)
        if self._url is None and place is None:
            raise PlatformError(
                f"the platform names no pooler of project {ref}",
                code="platform.no_pooler",
                hint="Set database_url to the direct connection, without a password.",
                where={"field": "database_url"},
            )
        role = await self._platform.login_role(read_only=False)
        self._learn([role.password.get_secret_value()])
        given = self._url.get_secret_value() if self._url else ""
        now = self._clock.now()
        login = Login(
            url=SecretStr(login_url(role, url=given, place=place, ref=ref)),
            renew_at=now + timedelta(seconds=role.ttl_seconds / 2),
            ends_at=now + timedelta(seconds=role.ttl_seconds),
        )
        self._logins.put(ref, login)
        return login

    async def __aenter__(self) -> Self:
        login = self._logins.get(self._platform.ref)
        if login is None or login.renew_at <= self._clock.now():
            try:
                await self._ask()
            except PlatformError as error:
                if self._fallback is None:
                    raise
                self._tell(error)
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        self._task.cancel()
        for ended in await asyncio.gather(self._task, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _keep(self) -> None:
        while True:
            login = self._logins.get(self._platform.ref)
            wait = (login.renew_at - self._clock.now()).total_seconds() if login else _RENEW_AGAIN_S
            if wait > 0:
                await self._clock.sleep(wait)
            elif not await self.renew():
                await self._clock.sleep(_RENEW_AGAIN_S)
