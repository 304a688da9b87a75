"""Schemas that were renamed get their names back, with all that is in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def names_back(before: Mapping[int, str], now: Mapping[int, str], *, ours: Collection[int]) -> tuple[str, ...]:
    """SQL that gives schemas the names that they had.

    One that has taken such a name since is moved out of the way first, as `deploy_agent_new_<OID>`. A schema whose name
    is held by one that may not be renamed keeps the one that it has.

    Args:
        before: names, quoted, by the OIDs that the schemas had.
        now: the same of all schemas that there are.
        ours: OIDs of those that may be renamed.

    Returns:
        Statements in their order; none if nothing was renamed.
    """
    moved = {oid: name for oid, name in before.items() if oid in ours and now.get(oid, name) != name}
    while True:
        wanted = set(moved.values())
        in_the_way = sorted(oid for oid, name in now.items() if name in wanted)
        held = {now[oid] for oid in in_the_way if oid not in ours or (oid in before and oid not in moved)}
        if not held:
            break
        moved = {oid: name for oid, name in moved.items() if name not in held}
    aside = {oid: f"deploy_agent_new_{oid}" for oid in in_the_way}
    return (
        *(f"ALTER SCHEMA {now[oid]} RENAME TO {name}" for oid, name in aside.items()),
        *(f"ALTER SCHEMA {aside.get(oid, now[oid])} RENAME TO {name}" for oid, name in sorted(moved.items())),
    )
