"""Who may ask the agent for what over HTTP: tokens as digests, scopes, and how a caller is recognised."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

#: Tells a token of this agent from others: to secret scanners, and to the redactor.
TOKEN_PREFIX = "sda_"  # noqa: S105 - only how one begins


class Scope(StrEnum):
    """What a caller may. `operate` includes `read`."""

    READ = "read"
    OPERATE = "operate"


@dataclass(frozen=True, kw_only=True)
class Key:
    """One token that is accepted; `name` is "" for the settings' single `http.token`."""

    name: str
    scope: Scope
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever sent a request; `name` as of the key, or "" for somebody without a token on this machine."""

    name: str
    scope: Scope

    @property
    def label(self) -> str:
        """What a deploy says of who asked for it."""
        return f"{self.name} (api)" if self.name else "api"


def digest(token: bytes) -> bytes:
    """What is compared and stored instead of a token.

    SHA-256 and no slow function: a token is random (256 bits), so there is nothing to guess, and whoever knocks with
    wrong tokens must not cost the agent a second of work each time.
    """
    return hashlib.sha256(token).digest()


def recognise(token: bytes, keys: Iterable[Key]) -> Caller | None:
    """Whose token this is. Each key is compared, in constant time: how long it takes tells nothing about any."""
    given = digest(token)
    found = None
    for key in keys:
        if hmac.compare_digest(given, key.digest):
            found = key
    return None if found is None else Caller(name=found.name, scope=found.scope)
