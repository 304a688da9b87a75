"""The agent's own memory over SQLAlchemy Core: SQLite in WAL mode, or Postgres for several agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic_core import to_json
from sqlalchemy import (
    Delete,
    Insert,
    Row,
    Select,
    Table,
    Update,
    delete,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.core.models import (
    Approval,
    BackupRecord,
    BackupState,
    Deploy,
    DeployRequest,
    Event,
    EventKind,
    Failure,
    NewEvent,
    OutboxMessage,
    OutboxState,
    Proposal,
    Severity,
    Strategy,
)
from agent.core.states import FINAL, Move, State, after
from agent.edges import store_approvals, store_deploys, store_events, store_outbox
from agent.edges.store_engine import (
    create_tables,
    for_reading,
    for_writing,
    label_of,
    make_engine,
    parse_url,
    translated,
)
from agent.edges.store_rows import (
    ALL_DEPLOYS,
    clean,
    find_deploy,
    insert_into,
    to_deploy,
    to_event,
    to_message,
)
from agent.edges.store_schema import backups, cursors, deploys, events, evidence, outbox
from agent.errors import NotFoundError

T = TypeVar("T")

LEASE = timedelta(seconds=60)
"""How long a message belongs to the agent that fetched it; longer than any delivery may take."""


async def open_store(url: str, *, notify_targets: Sequence[str] | Mapping[str, Collection[State]] = ()) -> SqlStore:
    """Open the store, creating file and tables where they are missing.

    Args:
        url: `sqlite:///path` or `postgresql://…`.
        notify_targets: names of the notification targets; as a mapping, with the states each wants to hear of.

    Raises:
        InputError: `settings.store_url`.
        StoreError: `store.too_new`, `store.locked`, `store.corrupt`, `store.read_only`, `store.disk_full`,
            `store.unreachable`, `store.refused`, `store.no_privilege`, …
    """
    store = SqlStore(url, notify_targets=notify_targets)
    try:
        await store.prepare()
    except BaseException:
        await store.close()
        raise
    return store


class SqlStore:
    """`agent.ports.DeployStore` over SQLite or Postgres; see `open_store`.

    A write runs to its end even when the task that asked for it is cancelled meanwhile; see `DeployStore` for
    what an error out of a write means.
    """

    def __init__(self, url: str, *, notify_targets: Sequence[str] | Mapping[str, Collection[State]] = ()) -> None:
        parsed = parse_url(url)
        self.label = label_of(parsed)
        self._targets = {
            name: frozenset(notify_targets[name]) if isinstance(notify_targets, Mapping) else frozenset(State)
            for name in notify_targets
        }
        with translated(self.label):
            self._engine = make_engine(parsed)
        self._reading = for_reading(self._engine)
        self._dialect = parsed.get_backend_name()

    async def prepare(self) -> None:
        """Create the tables where they are missing, and check their version."""
        await self._write(lambda connection: connection.run_sync(create_tables))

    async def close(self) -> None:
        """Release the connections."""
        await self._engine.dispose()

    # --- deploys ---

    async def create(self, deploy_id: str, request: DeployRequest, *, now: datetime) -> Deploy:
        """See `DeployStore.create`. The same id with the same request again changes nothing."""
        return await self._write(
            lambda connection: store_deploys.create(connection, deploy_id, request, now=now, targets=self._targets)
        )

    async def get(self, deploy_id: str) -> Deploy:
        """See `DeployStore.get`. Raises also NotFoundError `notfound.ambiguous`."""
        async with self._read() as connection:
            return await find_deploy(connection, deploy_id)

    async def deploys(self, *, project: str = "", states: Sequence[State] = (), limit: int = 50) -> list[Deploy]:
        """See `DeployStore.deploys`."""
        query = ALL_DEPLOYS.order_by(deploys.c.created_at.desc(), deploys.c.id.desc()).limit(limit)
        if project:
            query = query.where(deploys.c.project == project)
        if states:
            query = query.where(deploys.c.state.in_([str(state) for state in states]))
        return [to_deploy(row) for row in await self._rows(query)]

    async def transition(
        self,
        deploy_id: str,
        *,
        expected: State,
        move: Move,
        now: datetime,
        message: str,
        failure: Failure | None = None,
        backup_id: str = "",
        strategy: Strategy | None = None,
        versions: Sequence[str] | None = None,
    ) -> State:
        """See `DeployStore.transition`."""
        new = after(expected, move)
        values: dict[str, Any] = {"updated_at": now}
        if new in FINAL:
            values["finished_at"] = now
        if failure is not None:
            values["failure"] = failure.model_dump_json()
        if backup_id:
            values["backup_id"] = backup_id
        if strategy is not None:
            values["strategy"] = str(strategy)
        if versions is not None:
            values["versions"] = to_json(tuple(versions)).decode()
        event = NewEvent(
            kind=EventKind.STATE,
            message=message,
            at=now,
            severity=Severity.INFO if failure is None else Severity.ERROR,
            data={"from": str(expected), "to": str(new), "move": str(move)},
        )
        await self._write(
            lambda connection: store_deploys.move(
                connection, deploy_id, expected=expected, new=new, values=values, event=event, targets=self._targets
            )
        )
        return new

    async def request_cancel(self, deploy_id: str, *, reason: str, now: datetime) -> Deploy:
        """See `DeployStore.request_cancel`. The first reason stays; an event records it."""
        return await self._write(
            lambda connection: store_deploys.request_cancel(
                connection, deploy_id, reason=reason or "cancelled", now=now
            )
        )

    async def ask_approval(self, deploy_id: str, proposal: Proposal, *, reason: str, now: datetime) -> Approval:
        """See `DeployStore.ask_approval`. Raises NotFoundError `notfound.deploy`."""
        return await self._write(
            lambda connection: store_approvals.ask(
                connection, deploy_id, proposal, reason=reason, now=now, targets=self._targets
            )
        )

    async def answer_approval(
        self, deploy_id: str, *, number: int | None = None, approve: bool, by: str, remark: str = "", now: datetime
    ) -> Deploy:
        """See `DeployStore.answer_approval`. Raises also what `get` raises."""
        return await self._write(
            lambda connection: store_approvals.answer(
                connection,
                deploy_id,
                number=number,
                approve=approve,
                by=by,
                remark=remark,
                now=now,
                targets=self._targets,
            )
        )

    # --- events and evidence ---

    async def append(self, deploy_id: str, new: Sequence[NewEvent]) -> None:
        """See `DeployStore.append`."""
        if new:
            await self._write(lambda connection: store_events.append(connection, deploy_id, new), synced=False)

    async def events(self, deploy_id: str, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """See `DeployStore.events`."""
        query = (
            select(events)
            .where(events.c.deploy_id == deploy_id, events.c.seq > after)
            .order_by(events.c.seq)
            .limit(limit)
        )
        return [to_event(row) for row in await self._rows(query)]

    async def put_evidence(self, deploy_id: str, name: str, content: str) -> None:
        """See `DeployStore.put_evidence`. Raises NotFoundError `notfound.deploy`."""

        async def put(connection: AsyncConnection) -> None:
            await find_deploy(connection, deploy_id, exact=True)
            await connection.execute(self._upsert(evidence, {"deploy_id": deploy_id, "name": name, "content": content}))

        await self._write(put)

    async def get_evidence(self, deploy_id: str, name: str) -> str | None:
        """See `DeployStore.get_evidence`."""
        query = select(evidence.c.content).where(evidence.c.deploy_id == deploy_id, evidence.c.name == name)
        rows = await self._rows(query)
        return rows[0].content if rows else None

    # --- backups ---

    async def put_backup(self, record: BackupRecord) -> None:
        """See `DeployStore.put_backup`."""
        await self._change(self._upsert(backups, record.model_dump()))

    async def backups(self, *, project: str = "") -> list[BackupRecord]:
        """See `DeployStore.backups`."""
        query = select(backups).order_by(backups.c.created_at.desc(), backups.c.id.desc())
        if project:
            query = query.where(backups.c.project == project)
        return [BackupRecord.model_validate(row._asdict()) for row in await self._rows(query)]

    async def set_backup_state(self, backup_id: str, state: BackupState, *, now: datetime) -> None:
        """See `DeployStore.set_backup_state`. Raises NotFoundError `notfound.backup`."""
        values: dict[str, Any] = {"state": str(state)}
        if state is BackupState.VERIFIED:
            values["verified_at"] = now
        if not await self._change(update(backups).where(backups.c.id == backup_id).values(values)):
            raise NotFoundError(
                f"there is no backup {backup_id}", code="notfound.backup", hint="See: deploy-agent backup list"
            )

    async def forget_backup(self, backup_id: str) -> None:
        """See `DeployStore.forget_backup`. Forgetting an unknown one changes nothing."""
        await self._change(delete(backups).where(backups.c.id == backup_id))

    # --- outbox ---

    async def due_messages(self, *, now: datetime, limit: int) -> list[OutboxMessage]:
        """See `DeployStore.due_messages`. Only for this store's targets.

        On Postgres the messages are leased for `LEASE`, so that of several agents one delivers them.
        """
        targets = list(self._targets)
        if self._dialect == "sqlite":  # the volume's lock leaves one agent only
            rows = await self._rows(store_outbox.due(targets, now).limit(limit))
            return [to_message(row) for row in rows]
        claim = store_outbox.claim(targets, now, until=now + LEASE, limit=limit)

        async def lease(connection: AsyncConnection) -> list[OutboxMessage]:
            rows = (await connection.execute(claim)).all()
            return sorted((to_message(row) for row in rows), key=lambda message: message.id)

        return await self._write(lease, synced=False)

    async def message_sent(self, message_id: int, *, now: datetime) -> None:
        """See `DeployStore.message_sent`."""
        await self._change(store_outbox.sent(message_id, now))

    async def message_failed(self, message_id: int, *, error: str, due_at: datetime | None, now: datetime) -> None:
        """See `DeployStore.message_failed`."""
        await self._change(store_outbox.failed(message_id, error=clean(error) or "unknown", due_at=due_at, now=now))

    async def messages(self, *, state: OutboxState, limit: int = 100) -> list[OutboxMessage]:
        """The newest messages in that state, of all targets."""
        query = select(outbox).where(outbox.c.state == str(state)).order_by(outbox.c.id.desc()).limit(limit)
        return [to_message(row) for row in await self._rows(query)]

    async def undelivered(self) -> dict[tuple[str, OutboxState], int]:
        """See `DeployStore.undelivered`. Of all targets, also of those that the settings no longer have."""
        return {
            (row.target, OutboxState(row.state)): row.messages for row in await self._rows(store_outbox.undelivered())
        }

    # --- schedules ---

    async def read_cursor(self, name: str) -> datetime | None:
        """See `DeployStore.read_cursor`."""
        rows = await self._rows(select(cursors.c.due_at).where(cursors.c.name == name))
        return rows[0].due_at if rows else None

    async def move_cursor(self, name: str, *, expected: datetime | None, to: datetime) -> bool:
        """See `DeployStore.move_cursor`."""
        if expected is None:
            new = insert_into(cursors, self._dialect).values(name=name, due_at=to).on_conflict_do_nothing()
            return await self._change(new.returning(cursors.c.name))
        return await self._change(
            update(cursors).where(cursors.c.name == name, cursors.c.due_at == expected).values(due_at=to)
        )

    # --- plumbing ---

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        with translated(self.label):
            async with self._reading.connect() as connection:
                yield connection

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[T]], *, synced: bool = True) -> T:
        """Do that work in a write transaction, to its end.

        Args:
            synced: whether the transaction must outlive a power cut.
        """

        async def transaction() -> T:
            with translated(self.label):
                async with for_writing(self._engine, synced=synced).begin() as connection:
                    return await work(connection)

        return await _to_the_end(transaction())

    async def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with self._read() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
            return rows

    async def _change(self, statement: Insert | Update | Delete) -> bool:
        """Run one write; whether it changed a row."""

        async def change(connection: AsyncConnection) -> bool:
            result = await connection.execute(statement)
            return bool(result.all()) if result.returns_rows else result.rowcount > 0

        return await self._write(change)

    def _upsert(self, table: Table, row: Mapping[str, Any]) -> Insert:
        """INSERT, or replace the row with the same primary key."""
        keys = [column.name for column in table.primary_key]
        return (
            insert_into(table, self._dialect)
            .values(row)
            .on_conflict_do_update(index_elements=keys, set_={k: v for k, v in row.items() if k not in keys})
        )


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await a write. When cancelled meanwhile, let it finish first: CancelledError then means that it was written."""
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            cancelled = True
        except BaseException:  # noqa: BLE001 - raised below, by task.result()
            break
    result = task.result()
    if cancelled:
        raise asyncio.CancelledError
    return result
