"""What an answer of the Management API that is no success means.

v1 answers `{"message": …}`, some gateways `{"error": {"name", "message"}}`, v2 `{"error": {"code", "message", …}}`;
anything may be no JSON at all. Codes outside the specification occur (406, 544).
"""

from __future__ import annotations

import json
import re
from typing import Any

from agent.core.platform_operations import Operation
from agent.core.redaction import Redactor
from agent.errors import PlatformError, StatementError

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 544})
"""Answers after which the same question may be asked again: passing trouble of the API, or of what lies before it."""

_WIDTH = 400
_TOKENS = "https://supabase.com/dashboard/account/tokens"
_SQL_FAILED = re.compile(
    r"ERROR:\s+(?P<sqlstate>[0-9A-Z]{5}):\s*(?P<message>.*?)"
    r"(?=\n(?:LINE \d+|DETAIL|HINT|QUERY|CONTEXT|\s*\^)|\Z)",
    re.DOTALL,
)
_CUT_OFF = re.compile(r"read timeout|timed? ?out|terminated|ECONNRESET|socket hang up", re.IGNORECASE)


def words_of(body: bytes, redactor: Redactor) -> str:
    """What the body says, in one line, without secrets; "" where it says nothing that is meant for people."""
    return _line(_message(body), redactor)


def missing_permissions(body: bytes) -> tuple[str, ...]:
    """The permissions that a 403 lists, wherever in the body."""
    found = _find(_parsed(body), "missing_permissions", depth=4)
    if not isinstance(found, list):
        return ()
    return tuple(one for one in found if isinstance(one, str) and re.fullmatch(r"[\w.:-]{1,80}", one))


def refused(operation: Operation, path: str, status: int, body: bytes, redactor: Redactor) -> PlatformError:
    """The error for a status that is no success and no redirect.

    Args:
        path: as it was asked, for people.
    """
    said = words_of(body, redactor)
    what = f"{operation.method} {path} answered HTTP {status}{f': {said}' if said else ''}"
    missing: tuple[str, ...] = ()
    if status == 401:
        code, hint = "platform.token_refused", f"The token is wrong, expired or revoked: make another at {_TOKENS}."
    elif status == 403:
        missing = missing_permissions(body)
        code, hint = "platform.forbidden", _permission_hint(operation)
        if missing:
            what = f"the token lacks {' and '.join(missing)}, needed for {operation.need}"
    elif status == 402:
        code, hint = "platform.plan", f"The project's plan does not include {operation.need}."
    elif status == 404:
        code, hint = "platform.not_found", "Check platform.ref, and that the token's account has the project."
    elif status == 429:
        code, hint = "platform.rate_limited", "Others use the token's account too: wait a minute, and try again."
    elif status >= 500:
        code, hint = "platform.failed", "See https://status.supabase.com, and try again."
    else:
        code, hint = "platform.refused", "The message says what the platform does not accept."
    return PlatformError(
        what, code=code, hint=hint, status=status, missing_permissions=missing, where=where(operation, path)
    )


def bad_answer(operation: Operation, path: str, status: int | None, why: str) -> PlatformError:
    """The answer is not what the API promises."""
    return PlatformError(
        f"{operation.method} {path} gave an answer that cannot be used: {why}",
        code="platform.bad_answer",
        hint="Check platform.base_url and platform.proxy: something else than the Management API may answer there.",
        status=status,
        where=where(operation, path),
    )


def in_doubt(operation: Operation, error: PlatformError | StatementError) -> PlatformError:
    """A request with an effect, of which nobody knows whether it took effect."""
    return PlatformError(
        f"it is not known whether {operation.need} was done: {error.message}",
        code="platform.in_doubt",
        hint="It was not repeated. Look at the project in the Supabase dashboard before anything else is done.",
        status=getattr(error, "status", None),
        in_doubt=True,
        where=error.where,
    )


def leaves_doubt(status: int, body: bytes) -> bool:
    """Whether a request with an effect may have taken effect although it was answered with this status.

    A 4xx is a refusal, but the query route also tells so that it stopped waiting for the database.
    """
    text = _message(body)
    return status >= 500 or status == 408 or (status != 429 and _CUT_OFF.search(text) is not None)


def sql_failed(body: bytes, redactor: Redactor) -> StatementError | None:
    """The database's own error in the answer to a query, or None where it holds none.

    The API writes it as text: `Failed to run sql query: ERROR:  42P01: relation "x" does not exist`, then lines that
    begin with LINE, DETAIL, HINT.
    """
    text = _message(body)
    match = _SQL_FAILED.search(text)
    if match is None:
        return None
    return StatementError(
        _line(match["message"], redactor),
        sqlstate=match["sqlstate"],
        detail=_line(_after("DETAIL", text), redactor),
        server_hint=_line(_after("HINT", text), redactor),
        context=_line(_after("CONTEXT", text), redactor),
    )


def where(operation: Operation, path: str) -> dict[str, str | int]:
    """The place of an error, for machines."""
    return {"operation": operation.id, "path": path}


def _permission_hint(operation: Operation) -> str:
    needs = f"A scoped token needs {operation.permission} for {operation.need}" if operation.permission else ""
    scope = f"an OAuth token the scope {operation.scope}" if operation.scope else ""
    said = "; ".join(part for part in (needs, scope) if part)
    return f"{said}. See docs/platform.md." if said else "See docs/platform.md for what a token needs."


def _message(body: bytes) -> str:
    found = _parsed(body)
    error = found.get("error") if isinstance(found, dict) else None
    for place in (error, found):
        if isinstance(place, dict) and isinstance(place.get("message"), str):
            return str(place["message"])
    return error if isinstance(error, str) else ""


def _after(word: str, text: str) -> str:
    match = re.search(rf"^{word}:\s*(.*)$", text, re.MULTILINE)
    return match[1] if match else ""


def _line(text: str, redactor: Redactor) -> str:
    line = redactor(" ".join(text.split()))
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…"


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - any JSON, or None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _find(value: Any, key: str, *, depth: int) -> Any:  # noqa: ANN401 - as above
    if not isinstance(value, dict) or depth == 0:
        return None
    if key in value:
        return value[key]
    return next((found for each in value.values() if (found := _find(each, key, depth=depth - 1)) is not None), None)
