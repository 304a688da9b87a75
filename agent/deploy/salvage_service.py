"""What people may ask about salvages, over ports: each method is one request."""

from __future__ import annotations

from collections.abc import Sequence

from agent import sql
from agent.core.salvage import Applied, Salvage, Settlement, Wishes
from agent.deploy.deps import Deps, take_lock
from agent.deploy.salvages import (
    apply_salvage,
    find_salvage,
    first_rows,
    load_salvages,
    settle,
    unsettled_backups,
)
from agent.deploy.service import no_deploy_runs

SampleRows = dict[str, list[dict[str, str | None]]]
"""Rows by table, by column, as text; the column `""` says whose the row is: `a`, the application's; `u`, unclear."""


class Salvages:
    """The salvages of one project."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._project = deps.options.project

    async def all(self) -> list[Salvage]:
        """Newest first. Raises BackupError `salvage.damaged`, `salvage.newer_format`."""
        return [one.salvage for one in await load_salvages(self._deps.objects, self._project)]

    async def waiting(self) -> set[str]:
        """Ids of the backups that stay because a salvage beside them is neither applied nor dismissed."""
        return await unsettled_backups(self._deps.objects, self._project)

    async def show(self, name: str, *, rows: int = 0) -> tuple[Salvage, SampleRows]:
        """A salvage, and the first rows of each of its tables.

        Raises:
            NotFoundError: `notfound.salvage`.
            BackupError: `salvage.damaged`, `backup.identity_missing`, `backup.decryption_failed`.
        """
        stored = await find_salvage(self._deps.objects, self._project, name)
        if not rows:
            return stored.salvage, {}
        return stored.salvage, await first_rows(self._deps.objects, stored, self._deps.backup, limit=rows)

    async def apply(self, name: str, wishes: Wishes) -> tuple[Salvage, Sequence[Applied]]:
        """Put a salvage back, under the deploy lock; it is settled once nothing of it is left over.

        Raises:
            NotFoundError: `notfound.salvage`.
            BusyError: a deploy is running.
            BackupError: `salvage.damaged` and its kin.
            StatementError: the database refused something but a row. In each case nothing was changed.
        """
        deps = self._deps
        stored = await find_salvage(deps.objects, self._project, name)
        await no_deploy_runs(deps)
        async with deps.target.session(purpose="salvage") as session:
            await take_lock(session, deps.clock)
            applied = await apply_salvage(session, deps.objects, stored, deps.backup, wishes)
            await session.run(sql.load("lock/release"))  # the next one may be put back at once
        if wishes.dry_run or any(one.left_over for one in applied):
            return stored.salvage, applied
        return await settle(deps.objects, stored.salvage, Settlement.APPLIED, now=deps.clock.now()), applied

    async def dismiss(self, name: str) -> Salvage:
        """Nobody wants it any more: its backup may be removed when its time is over. Raises NotFoundError."""
        stored = await find_salvage(self._deps.objects, self._project, name)
        return await settle(self._deps.objects, stored.salvage, Settlement.DISMISSED, now=self._deps.clock.now())
