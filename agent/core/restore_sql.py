"""SQL of a restore that pg_restore does not write, or writes for a superuser only."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.core.catalog import CatalogObject

_RIGHT = re.compile(
    r"^(?:GRANT|REVOKE|SET SESSION AUTHORIZATION|RESET SESSION AUTHORIZATION)\b.*?;$", re.MULTILINE | re.DOTALL
)
_BECOME = "SET SESSION AUTHORIZATION "


def as_members(script: str) -> tuple[str, ...]:
    """Rights in a script by pg_restore, where one was granted by another role than the owner; else nothing.

    pg_restore becomes that role by SET SESSION AUTHORIZATION, which only a superuser may; SET ROLE does for a member.

    Args:
        script: of ACL entries only.
    """
    statements = [match[0].removesuffix(";") for match in _RIGHT.finditer(script)]
    if not any(one.startswith(_BECOME) for one in statements):
        return ()
    return tuple(
        "RESET ROLE"
        if one.startswith("RESET")
        else f"SET LOCAL ROLE {one.removeprefix(_BECOME)}"
        if one.startswith(_BECOME)
        else one
        for one in statements
    )


def reading_checks(catalog: Mapping[str, CatalogObject]) -> list[CatalogObject]:
    """Checks of tables and domains that call functions of the application which are not declared IMMUTABLE.

    Such a function may read tables, and while rows are loaded what it reads is not there yet.
    """
    reading = {name for name, item in catalog.items() if name.startswith("function:") and not _immutable(item)}
    return [
        item
        for item in catalog.values()
        if item.kind == "constraint"
        and item.drop
        and item.definition.startswith("CHECK ")
        and not item.definition.endswith(" NOT VALID")
        and not reading.isdisjoint(item.needs)
    ]


def _immutable(function: CatalogObject) -> bool:
    head = function.settings.get("source", "").partition("\nAS ")[0]
    return re.search(r"^ (?:.* )?IMMUTABLE\b", head, re.MULTILINE) is not None
