"""A project's API keys and the JSON Web Tokens (HS256) that stand behind them and behind signed-in users."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from .project import Project


def sign(project: Project, claims: dict[str, Any]) -> str:
    """A token with these claims."""
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _encode(json.dumps(claims).encode())
    return f"{head}.{body}.{_encode(_signature(project, f'{head}.{body}'))}"


def read(project: Project, token: str) -> dict[str, Any] | None:
    """The claims of a token that the project signed and that has not expired; else None."""
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    try:
        if not hmac.compare_digest(_decode(signature), _signature(project, f"{head}.{body}")):
            return None
        claims: dict[str, Any] = json.loads(_decode(body))
    except ValueError:
        return None
    return claims if claims.get("exp", time.time() + 1) > time.time() else None


def legacy(project: Project, role: str) -> str:
    """The legacy key of a role: a token for ten years."""
    issued = int(project.created_at.timestamp())
    return sign(project, {"iss": "supabase", "ref": project.ref, "role": role, "iat": issued, "exp": issued + 10**9})


def publishable(project: Project) -> str:
    """The key that applications show; it stands for the role anon."""
    return "sb_publishable_" + _derived(project, "publishable")


def secret(project: Project) -> str:
    """The key of servers; it stands for the role service_role."""
    return "sb_secret_" + _derived(project, "secret")


def role_of(project: Project, key: str) -> str | None:
    """The role of an API key; None for an unknown one."""
    if hmac.compare_digest(key.encode(), publishable(project).encode()):
        return "anon"
    if hmac.compare_digest(key.encode(), secret(project).encode()):
        return "service_role"
    claims = read(project, key)
    return claims.get("role") if claims else None


def _derived(project: Project, what: str) -> str:
    return hashlib.sha256(f"{project.jwt_secret} {what}".encode()).hexdigest()[:40]


def _signature(project: Project, text: str) -> bytes:
    return hmac.digest(project.jwt_secret.encode(), text.encode(), "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
