"""What a deploy left, told in digests: what it changed, and whether somebody has changed something since."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping

from agent.core.models import Finding, Model, Severity

FORMAT = 1
"""Of digests: raise it when the queries in sql/catalog say something else of an object that has not changed."""

_MOST_NAMES = 10
_PARTS = frozenset({"column", "constraint", "trigger", "policy", "rule"})  # their names begin with their table's


class Changed(Model):
    """Identities, without those that are part of another one in the same list."""

    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.created) + len(self.dropped) + len(self.altered)

    @property
    def counts(self) -> str:
        """`3 created, 1 altered`; "nothing" if there is none."""
        told = {"created": self.created, "dropped": self.dropped, "altered": self.altered}
        return ", ".join(f"{len(names):,} {what}" for what, names in told.items() if names) or "nothing"


class Left(Model):
    """The catalog and the history as a deploy left them. Digests of another format or server cannot be compared."""

    format: int = FORMAT
    server_major: int
    catalog: dict[str, str]
    history: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Of all of it, in 64 hexadecimal digits: two that have the same are the same."""
        found = hashlib.sha256(f"{self.format} {self.server_major} {self.history}".encode())
        for identity in sorted(self.catalog):
            found.update(f"\n{identity} {self.catalog[identity]}".encode())
        return found.hexdigest()


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> Changed:
    """Compare digests by identity."""
    return Changed(
        created=tuple(_wholes(now.keys() - before.keys())),
        dropped=tuple(_wholes(before.keys() - now.keys())),
        altered=tuple(sorted(name for name in before.keys() & now.keys() if before[name] != now[name])),
    )


def _wholes(names: Collection[str]) -> Iterator[str]:
    """What is no part of a table, view or type that is one of them too."""
    owners = {name.partition(":")[2] for name in names if name.startswith(("relation:", "type:"))}
    for name in sorted(names):
        family, _, path = name.partition(":")
        if family not in _PARTS or not any(path.startswith(f"{owner}.") for owner in _beginnings(path, owners)):
            yield name


def _beginnings(path: str, owners: Collection[str]) -> Iterator[str]:
    """Which owners a path may begin with: it is cut at each dot, also at those within quotes."""
    at = path.find(".")
    while at != -1:
        if path[:at] in owners:
            yield path[:at]
        at = path.find(".", at + 1)


def drift(left: Left, now: Left, *, deploy_id: str) -> list[Finding]:
    """Whether the catalog is what the last deploy left.

    Where the history has other versions, another tool has deployed, and the catalog must differ: nothing is found.

    Args:
        deploy_id: of that deploy.
    """
    if (left.format, left.server_major, left.history) != (now.format, now.server_major, now.history):
        return []
    found = changed(left.catalog, now.catalog)
    if not found.total:
        return []
    names = [*found.created, *found.dropped, *found.altered]
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return [
        Finding(
            code="preflight.drift",
            severity=Severity.WARNING,
            message=f"the schema was changed outside the migrations since deploy {deploy_id} ({found.counts}): "
            f"{', '.join(names[:_MOST_NAMES])}{more}",
            hint="Put the change into a migration, or take it back. `deploy-agent diff` compares with the last backup.",
            where={"deploy": deploy_id},
        )
    ]
