"""The table of permissions in docs/platform.md, made from the operations that the agent uses."""

from __future__ import annotations

import re

from agent.core.platform_operations import OPERATIONS


def permissions() -> str:
    """One line an operation."""
    lines = ["| used for | operation | permission | OAuth scope |", "| --- | --- | --- | --- |"]
    for one in OPERATIONS.values():
        permission = " or ".join(" and ".join(f"`{name}`" for name in each) for each in one.permissions)
        scope = f"`{one.scope}`" if one.scope else ""
        needed = " | ".join(each or "not documented" for each in (permission, scope))
        lines.append(f"| {one.need} | `{one.method} {one.path}` | {needed} |")
    return "\n".join(lines) + "\n"


def with_permissions(document: str) -> str:
    """The document with its table made anew."""
    return re.sub(
        r"(?<=<!-- generated: permissions -->\n).*?(?=<!-- end generated -->)",
        lambda _: permissions(),
        document,
        count=1,
        flags=re.DOTALL,
    )
