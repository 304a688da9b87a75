"""Takes secrets out of text: known values, and everything that has a secret's shape.

Used for logs, for the last lines of a tool, and for the SQL and the messages of a failed statement. Rather one word
too many is lost than a secret shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 6  # a shorter known value would take ordinary words out of every message
NO_SECRETS = frozenset({"postgres", "password", "supabase", "localhost"})  # defaults that are also ordinary words
SECRET_KEYS = re.compile(r"(?i)(password|passwd|secret|token|authorization|api_?key|private_?key|identity|dsn)$")

_LITERAL = r"""(?:[EeUu]?&?'(?:[^'\\]|''|\\.)*(?:'|\Z)|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))"""

# Each pattern keeps its group `keep` and masks the rest. Order matters: the whole before its parts.
_SHAPES: tuple[re.Pattern[str], ...] = (
    # PostgreSQL: ALTER ROLE … PASSWORD '…', CREATE USER MAPPING … OPTIONS (password '…')
    re.compile(rf"(?is)(?P<keep>\b(?:ssl)?password\s+){_LITERAL}"),
    # Supabase Vault: vault.create_secret('…'), vault.update_secret(id, '…')
    re.compile(rf"(?is)(?P<keep>\bcreate_secret\s*\(\s*){_LITERAL}"),
    re.compile(rf"(?is)(?P<keep>\bupdate_secret\s*\([^,]*,\s*){_LITERAL}"),
    # user:password@ in a URL; the last @ of the word counts, because people forget to encode them
    re.compile(r"(?P<keep>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@'\"<>]*:)[^\s'\"<>]*(?=@)"),
    # libpq's key=value form, and PGPASSWORD=…
    re.compile(r"(?i)(?P<keep>\b\w*(?:password|passwd|pwd)\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|\"[^\"]*\"?|[^\s&;,'\"]+)"),
    # "password": "…" in JSON
    re.compile(
        r"(?i)(?P<keep>[\"'](?:\w*password|\w*secret|\w*token|api_?key|authorization)[\"']\s*:\s*)"
        r"(?:\"(?:[^\"\\]|\\.)*\"?|'[^']*'?)"
    ),
    # addresses that are secrets themselves: chat webhooks, signed URLs
    re.compile(r"(?P<keep>\bhooks\.slack\.com/(?:services|workflows|triggers)/)[^\s'\"<>]+"),
    re.compile(r"(?P<keep>\bdiscord(?:app)?\.com/api/(?:v\d+/)?webhooks/)[^\s'\"<>]+"),
    re.compile(r"(?P<keep>\bwebhook\.office\.com/)[^\s'\"<>]+"),
    re.compile(
        r"(?i)(?P<keep>[?&](?:key|token|sig|apikey|access_token|x-amz-signature|x-amz-security-token)=)[^&\s'\"]+"
    ),
    re.compile(r"(?i)(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    # tokens by their look: JWT, Supabase's access tokens and secret keys, Standard Webhooks, age
    re.compile(r"(?P<keep>)\beyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"),
    re.compile(r"(?P<keep>\bsbp_)[A-Za-z0-9_]{8,}"),
    re.compile(r"(?P<keep>\bsb_secret_)[A-Za-z0-9_-]+"),
    re.compile(r"(?P<keep>\bwhsec_)[A-Za-z0-9+/=_-]+"),
    re.compile(r"(?P<keep>\bAGE-SECRET-KEY-1)[0-9A-Za-z]+"),
    # PostgreSQL's DETAIL of a row that breaks NOT NULL or CHECK: the whole row, whatever is in it
    re.compile(r"(?s)(?P<keep>\bFailing row contains )\(.*\)"),
    re.compile(r"(?P<keep>\bsda_)[A-Za-z0-9_-]{20,}"),  # of this agent's own API
)


class Redactor:
    """Masks the secrets of one installation, and everything that looks like one.

    Args:
        secrets: the values to mask wherever they occur, also percent-encoded. Values shorter than
            six characters, and defaults such as `postgres`, are left to the patterns.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these too from now on; those that were known stay so."""
        values = {secret for secret in secrets if len(secret) >= SHORTEST and secret.lower() not in NO_SECRETS}
        forms = {form for value in values for form in (value, quote(value, safe=""), quote(value), quote_plus(value))}
        self._forms |= forms
        ordered = sorted(self._forms, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(form) for form in ordered)) if ordered else None

    def __call__(self, text: str) -> str:
        """The text with every secret replaced by `***`."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for shape in _SHAPES:
            text = shape.sub(_mask, text)
        return text

    def deep(self, value: Any) -> Any:  # noqa: ANN401 - any JSON-like value, given back in the same shape
        """The value with every text in it redacted; a text under a key such as `password` is masked whole."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {
                key: MASK
                if isinstance(item, str) and item and isinstance(key, str) and SECRET_KEYS.search(key)
                else self.deep(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.deep(item) for item in value]
        return value


def _mask(match: re.Match[str]) -> str:
    found = match.group()
    rest = found[len(match["keep"]) :]
    quoted = rest[:1] in "'\"" and rest[:1]
    return f"{match['keep']}{quoted}{MASK}{quoted}" if quoted else f"{match['keep']}{MASK}"


_shapes_only = Redactor()


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with the given values, and everything that has a secret's shape, replaced by `***`."""
    known = tuple(secrets)
    return Redactor(known)(text) if known else _shapes_only(text)
