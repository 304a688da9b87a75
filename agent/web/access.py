"""What every request finds: the agent behind it, and who may ask for what."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from agent.core.models import DeployRequest
from agent.errors import AuthError
from agent.web.backend import Backend

_bearer = HTTPBearer(auto_error=False, description="`http.token` of the agent's settings")


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the application was made with; see `agent.web.app.create_app`."""

    backend: Backend
    default: DeployRequest
    token: SecretStr | None


async def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


async def _backend(site: Annotated[Site, Depends(_site)]) -> Backend:
    return site.backend


async def _default(site: Annotated[Site, Depends(_site)]) -> DeployRequest:
    return site.default


Agent = Annotated[Backend, Depends(_backend)]
Default = Annotated[DeployRequest, Depends(_default)]
_TheSite = Annotated[Site, Depends(_site)]
_Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def reader(site: _TheSite, given: _Given) -> None:
    """May look: whoever has the token; anybody who reaches the port where none is set (`serve`: loopback only).

    Raises:
        AuthError: `auth.token_missing`, `auth.token_refused`.
    """
    if site.token is not None:
        _check(given, site.token)


async def operator(site: _TheSite, given: _Given) -> None:
    """May act: only who has the token.

    Raises:
        AuthError: `auth.token_missing`, `auth.token_refused`, `auth.no_token_set`.
    """
    if site.token is None:
        raise AuthError(
            "this agent has no API token, so nothing can be asked of it over HTTP",
            code="auth.no_token_set",
            hint="Set DEPLOY_AGENT_HTTP__TOKEN (or http.token in the settings) and restart the agent.",
        )
    _check(given, site.token)


def _check(given: HTTPAuthorizationCredentials | None, token: SecretStr) -> None:
    hint = "Send `Authorization: Bearer <token>` with the agent's http.token."
    if given is None:
        raise AuthError("a bearer token is needed", code="auth.token_missing", hint=hint)
    # In constant time, and as the bytes that came: Starlette reads headers as Latin-1.
    if not hmac.compare_digest(given.credentials.encode("latin-1"), token.get_secret_value().encode()):
        raise AuthError("the bearer token is not this agent's", code="auth.token_refused", hint=hint)
