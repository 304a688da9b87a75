"""JSON that carries its own checksum: what was changed or cut off is not taken for what was written."""

from __future__ import annotations

import hashlib
import json
from typing import Any


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


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
