"""JSON that carries its own checksum: what was changed or cut off is not taken for what was written."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

from agent.core.models import Model

_M = TypeVar("_M", bound=Model)


class OtherFormatError(Exception):
    """It is whole, but in a format that this agent does not read; the message says which."""


def seal(content: dict[str, Any]) -> bytes:
    """The content as it is stored: JSON with the SHA-256 of its own canonical form."""
    return (json.dumps({**content, "sha256": _digest(content)}, indent=1, ensure_ascii=False) + "\n").encode()


def unseal(stored: bytes) -> dict[str, Any]:
    """What was stored, without the checksum.

    Raises:
        ValueError: it is not what was written.
    """
    content = json.loads(stored)
    if not isinstance(content, dict) or "sha256" not in content:
        raise ValueError("it has no checksum")
    if content.pop("sha256") != _digest(content):
        raise ValueError("its checksum does not fit")
    return content


def read(kind: type[_M], stored: bytes, *, format: int) -> _M:  # noqa: A002 - the name of the stored field
    """What was stored, as that model.

    Args:
        format: that this agent reads.

    Raises:
        OtherFormatError: it has another one.
        ValueError: it is not what was written.
    """
    content = unseal(stored)
    if content.get("format") != format:
        raise OtherFormatError(f"has format {content.get('format')}; this agent reads format {format}")
    return kind.model_validate(content)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
