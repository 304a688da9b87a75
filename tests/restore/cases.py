"""A case: a database, what a migration does to it before it fails, and how it is told in a file.

-- Why: what makes this schema awkward to restore.
-- Wild: where it was met, or `no`.
-- Strategy: statement        (optional; per_migration)
-- Fails: no                  (optional: the last migration fails by itself)
-- As: supabase_admin         (optional: the role that deploys; postgres)
-- Ends (rung 3): rung 4; …   (optional: this rung cannot do it, the next one does, and why)
-- Loses (rung 4): …          (optional: how the one difference begins that there must be; it is told, and no failure)
-- Differs: …; …              (optional: what no rung brings back: exactly this is told, and the deploy needs a person)
-- [before] or [before as supabase_admin]: SQL, as often as needed
-- [migration]: one migration file, as often as needed
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.models import EventKind
from tests.conftest import Database
from tests.support import picture
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations
from tests.support.oracle import psql

FAILS = "DO $$ BEGIN RAISE EXCEPTION 'the deploy fails here'; END $$;\n"
RUNGS = (4, 3)
"""The lowest rung that may restore: 4, or 3 with 4 behind it."""

_SECTION = re.compile(r"^-- \[(before|migration)(?: as (\w+))?\]\n", re.MULTILINE)
_HEADER = re.compile(
    r"^-- (Why|Wild|Strategy|Fails|As|Differs|(?:Ends|Loses) \(rung \d\)): ((?:.*\n)(?:--   .*\n)*)", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """`before`: (role, SQL) in their order. `migrations`: the files' texts; the last one fails."""

    before: tuple[tuple[str, str], ...]
    migrations: tuple[str, ...]
    strategy: str = "per_migration"
    name: str = ""
    header: dict[str, str] = field(default_factory=dict)
    runbook: str = ""

    def last_rung(self, rung: int) -> int:
        """The rung that brings it back, if this one is the lowest that may."""
        return 4 if f"Ends (rung {rung})" in self.header else rung

    def losses(self, rung: int) -> list[str]:
        """How the differences begin that are told, and no failure."""
        lost = self.header.get(f"Loses (rung {rung})", "")
        return [lost] if lost else []

    @property
    def told(self) -> list[str]:
        """The differences that no rung takes away."""
        return [one.strip() for one in self.header.get("Differs", "").split(";") if one.strip()]

    def text(self) -> str:
        """The case as a file of the corpus."""
        sections = [f"-- [before{'' if role == 'postgres' else f' as {role}'}]\n{sql}" for role, sql in self.before]
        sections += [f"-- [migration]\n{sql}" for sql in self.migrations]
        return "\n".join([f"-- Why: \n-- Wild: no\n-- Strategy: {self.strategy}\n-- Fails: no", *sections])


def read_case(path: Path) -> Case:
    """Read a file of the corpus."""
    text = path.read_text()
    head, *parts = _SECTION.split(text)
    header = {match[1]: " ".join(match[2].replace("\n--", " ").split()) for match in _HEADER.finditer(head)}
    sections = list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))
    migrations = tuple(sql for kind, _, sql in sections if kind == "migration")
    return Case(
        before=tuple((role or "postgres", sql) for kind, role, sql in sections if kind == "before"),
        migrations=migrations if header.get("Fails") == "no" else (*migrations, FAILS),
        strategy=header.get("Strategy", "per_migration"),
        name=path.stem,
        header=header,
    )


def prepare(case: Case, database: Database) -> None:
    """Make the database that the deploy finds."""
    for role, sql in case.before:
        psql(database.url_as(role), sql)


async def undo(
    case: Case, database: Database, folder: Path, *, rung: int, ahead: bool = True
) -> tuple[Outcome, list[str]]:
    """Deploy what fails.

    Args:
        ahead: tables are loaded ahead of a full restore, as if all were large.

    Returns:
        How the deploy ended, and what of the database is not as it was.
    """
    before = picture.take(database.admin_url)
    write_migrations(folder, {f"20260101{n:06}_case.sql": sql for n, sql in enumerate(case.migrations)})
    if case.runbook:
        (folder / "deploy.yaml").write_text(case.runbook)
    url = database.url_as(case.header.get("As", "postgres"))
    backup = {"min_bytes": 0, "restore_ahead_bytes": 0 if ahead else 1 << 40}
    settings = make_settings(url, folder, deploy={"targeted_restore": rung == 3}, backup=backup)
    outcome = await deploy(settings, case.strategy)
    return outcome, before.unlike(picture.take(database.admin_url))


def told(outcome: Outcome) -> str:
    """How the deploy says that it ended."""
    assert outcome.deploy.failure is not None
    rungs = [
        f"rung {event.data['rung']}: {event.message} {event.data['differences'][:4] or ''}"
        for event in outcome.of(EventKind.RUNG)
    ]
    return "; ".join([outcome.state, outcome.why, outcome.deploy.failure.detail, *rungs])
