"""Where the project's own API is, and with which keys it is asked: the settings count, then what the platform says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from agent.core.api_checks import ApiKeys
from agent.core.platform import ApiKey
from agent.errors import InputError, PlatformError
from agent.ports import Platform

_URL = "Set api.url (DEPLOY_AGENT_API__URL), such as https://<ref>.supabase.co."
_KEY = "Set api.anon_key (DEPLOY_AGENT_API__ANON_KEY), or give the platform's token api_gateway_keys_read."


@dataclass(kw_only=True)
class ApiAccess:
    """Address and keys, found when they are first needed.

    `url`: "" is no address. `anon`, `service`: the keys of the settings at this moment. `platform`: asked for a key
    that is missing there; for the service key only where a check needs it.
    """

    url: str
    anon: Callable[[], SecretStr | None]
    service: Callable[[], SecretStr | None]
    platform: Platform | None
    _listed: dict[bool, Sequence[ApiKey]] = field(default_factory=dict, repr=False)

    async def __call__(self, service: bool) -> ApiKeys:  # noqa: FBT001 - the one question there is
        """Address and keys.

        Args:
            service: the service key too, if there is one.

        Raises:
            InputError: `api.not_set_up`: nobody knows the address, or the publishable key.
        """
        if not self.url:
            raise _not_set_up("nobody knows its address: database_url names no project", "api.url", _URL)
        anon = self.anon()
        if anon is None:
            anon = _first(await self._keys(reveal=False), kind="publishable", name="anon")
        if anon is None:
            raise _not_set_up("the platform shows no publishable key", "api.anon_key", _KEY)
        key = self.service() if service else None
        if service and key is None and self.platform is not None:
            key = _first(await self._keys(reveal=True), kind="secret", name="service_role")
        return ApiKeys(url=self.url, anon=anon, service=key)

    async def _keys(self, *, reveal: bool) -> Sequence[ApiKey]:
        if self.platform is None:
            raise _not_set_up("the agent has no key for it, and no token for the Management API", "api.anon_key", _KEY)
        if reveal not in self._listed:
            try:
                self._listed[reveal] = await self.platform.api_keys(reveal=reveal)
            except PlatformError as error:
                raise _not_set_up(f"its keys cannot be asked for: {error.message}", "api.anon_key", _KEY) from error
        return self._listed[reveal]


def _first(keys: Sequence[ApiKey], *, kind: str, name: str) -> SecretStr | None:
    """A key of the new kind, else the legacy one of that name."""
    new = [one.api_key for one in keys if one.type == kind]
    legacy = [one.api_key for one in keys if one.type != kind and one.name == name]
    return next((key for key in (*new, *legacy) if key is not None and key.get_secret_value()), None)


def _not_set_up(why: str, setting: str, hint: str) -> InputError:
    return InputError(
        f"the runbook has api checks, and the project's API cannot be asked: {why}",
        code="api.not_set_up",
        hint=hint,
        where={"field": setting},
    )
