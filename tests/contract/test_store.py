"""What every DeployStore promises, on SQLite and on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import CheckConstraint, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import DropTable

from agent.core.models import (
    Answer,
    Approval,
    BackupRecord,
    BackupState,
    DeployRequest,
    EventKind,
    Failure,
    NewEvent,
    OutboxState,
    Proposal,
    Severity,
    Strategy,
)
from agent.core.states import FINAL, TRANSITIONS, Move, State
from agent.deploy.events import read_events
from agent.edges import store_schema as schema
from agent.edges.store import LEASE, SqlStore, open_store
from agent.errors import BusyError, InputError, NotFoundError, StateError, StoreError
from tests.conftest import Database

NOW = datetime(2026, 3, 29, 0, 59, 59, 123456, tzinfo=UTC)
REQUEST = DeployRequest(project="tracks-posts", requested_by="test")
BOTH = ("chat", "pager")
PROPOSAL = Proposal(rung=3, backup_id="b1", undone=("table public.a",), tables=("public.a",), seconds=1.5)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/agent.db"
    return str(request.getfixturevalue("database").url)


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    opened = await open_store(url, notify_targets=BOTH)
    yield opened
    await opened.close()


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def lines(*texts: str) -> list[NewEvent]:
    return [NewEvent(kind=EventKind.LOG, message=text, at=NOW, data={"text": text}) for text in texts]


async def walk(store: SqlStore, deploy_id: str, *moves: Move) -> State:
    state = (await store.get(deploy_id)).state
    for move in moves:
        state = await store.transition(deploy_id, expected=state, move=move, now=NOW, message=str(move))
    return state


# --- deploys ---


async def test_a_created_deploy_is_queued_and_told(store: SqlStore) -> None:
    made = await store.create("d1", REQUEST, now=NOW)
    assert made == await store.get("d1")
    assert (made.state, made.request, made.created_at, made.finished_at) == (State.QUEUED, REQUEST, NOW, None)
    (event,) = await store.events("d1")
    assert (event.seq, event.kind, event.data) == (1, EventKind.STATE, {"from": "", "to": "queued", "move": ""})
    messages = await store.due_messages(now=NOW, limit=10)
    assert [(m.target, m.deploy_id, m.event_seq) for m in messages] == [("chat", "d1", 1), ("pager", "d1", 1)]


async def test_creating_the_same_deploy_again_changes_nothing(store: SqlStore) -> None:
    made = await store.create("d1", REQUEST, now=NOW)
    assert await store.create("d1", REQUEST, now=later(5)) == made
    assert len(await store.events("d1")) == 1
    with pytest.raises(StateError) as error:
        await store.create("d1", DeployRequest(project="other"), now=NOW)
    assert error.value.code == "state.duplicate"


async def test_a_project_has_one_open_deploy(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await store.create("d2", DeployRequest(project="other"), now=NOW)
    with pytest.raises(BusyError) as error:
        await store.create("d3", REQUEST, now=NOW)
    assert error.value.code == "busy.deploying"
    assert error.value.where == {"deploy_id": "d1"}
    with pytest.raises(NotFoundError):
        await store.get("d3")
    await walk(store, "d1", Move.CANCEL)
    assert (await store.create("d3", REQUEST, now=NOW)).state is State.QUEUED


async def test_of_many_at_once_one_wins(url: str) -> None:
    stores = [await open_store(url) for _ in range(4)]
    try:
        outcomes = await asyncio.gather(
            *(store.create(f"d{n}", REQUEST, now=NOW) for n, store in enumerate(stores)), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BusyError"] * 3 + ["Deploy"]
        assert len(await stores[0].deploys()) == 1
    finally:
        for store in stores:
            await store.close()


async def test_an_unambiguous_prefix_is_enough(store: SqlStore) -> None:
    await store.create("20260329-abc", REQUEST, now=NOW)
    await store.create("20260329-abd", DeployRequest(project="b"), now=NOW)
    await store.create("20260329-ab", DeployRequest(project="c"), now=NOW)
    assert (await store.get("20260329-abd")).project == "b"
    assert (await store.get("20260329-ab")).project == "c"
    with pytest.raises(NotFoundError) as ambiguous:
        await store.get("2026")
    assert ambiguous.value.code == "notfound.ambiguous"
    for unknown in ("", "%", "20260329_ab", "9"):
        with pytest.raises(NotFoundError) as missing:
            await store.get(unknown)
        assert missing.value.code == "notfound.deploy"


async def test_deploys_are_listed_newest_first(store: SqlStore) -> None:
    for number in range(4):
        await store.create(f"d{number}", DeployRequest(project=f"p{number % 2}"), now=later(number))
        if number < 2:
            await walk(store, f"d{number}", Move.CANCEL)
    assert [deploy.id for deploy in await store.deploys()] == ["d3", "d2", "d1", "d0"]
    assert [deploy.id for deploy in await store.deploys(limit=2)] == ["d3", "d2"]
    assert [deploy.id for deploy in await store.deploys(project="p0")] == ["d2", "d0"]
    assert [deploy.id for deploy in await store.deploys(states=[State.CANCELLED])] == ["d1", "d0"]


# --- transitions ---


@pytest.mark.parametrize(("state", "move"), TRANSITIONS)
async def test_every_transition_can_be_stored(tmp_path: Path, state: State, move: Move) -> None:
    """SQLite only: each state must satisfy the constraints; that they hold on Postgres is tested below."""
    store = await open_store(f"sqlite:///{tmp_path}/agent.db")
    try:
        await store.create("d1", REQUEST, now=NOW)
        await walk(store, "d1", *way_to(state))
        assert (
            await store.transition("d1", expected=state, move=move, now=later(9), message="x")
            is TRANSITIONS[state, move]
        )
        deploy = await store.get("d1")
        assert deploy.finished_at == (later(9) if deploy.state in FINAL else None)
    finally:
        await store.close()


def way_to(wanted: State) -> list[Move]:
    ways: dict[State, list[Move]] = {State.QUEUED: []}
    while wanted not in ways:
        ways |= {to: [*ways[at], move] for (at, move), to in TRANSITIONS.items() if at in ways and to not in ways}
    return ways[wanted]


async def test_a_transition_records_state_event_and_messages_together(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await walk(store, "d1", Move.START, Move.CLEAR, Move.SNAPPED, Move.BACKED_UP)
    failure = Failure(cause="statement", code="target.statement_failed", message="boom", sqlstate="23503")
    state = await store.transition(
        "d1",
        expected=State.MIGRATE,
        move=Move.FAIL,
        now=later(1),
        message="it failed",
        failure=failure,
        backup_id="b1",
        strategy=Strategy.ATOMIC,
        versions=["1", "2"],
    )
    deploy = await store.get("d1")
    assert (state, deploy.state, deploy.updated_at) == (State.ROLLING_BACK, State.ROLLING_BACK, later(1))
    assert (deploy.failure, deploy.backup_id, deploy.strategy) == (failure, "b1", Strategy.ATOMIC)
    assert deploy.versions == ("1", "2")
    event = (await store.events("d1"))[-1]
    assert (event.seq, event.message, event.severity) == (6, "it failed", Severity.ERROR)
    assert event.data == {"from": "migrate", "to": "rolling_back", "move": "fail"}
    await walk(store, "d1", Move.UNDONE)
    kept = await store.get("d1")
    assert (kept.failure, kept.backup_id, kept.versions) == (failure, "b1", ("1", "2"))
    pending = await store.messages(state=OutboxState.PENDING)
    assert sorted((m.event_seq, m.target) for m in pending) == [(n, t) for n in range(1, 8) for t in BOTH]


async def test_a_repeated_transition_changes_nothing(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await walk(store, "d1", Move.START)
    before = (await store.get("d1"), await store.events("d1"), await store.messages(state=OutboxState.PENDING))
    again = await store.transition("d1", expected=State.QUEUED, move=Move.START, now=later(9), message="again")
    after = (await store.get("d1"), await store.events("d1"), await store.messages(state=OutboxState.PENDING))
    assert (again, after) == (State.PREFLIGHT, before)


async def test_the_same_state_by_another_move_is_no_repetition(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await walk(store, "d1", Move.START, Move.NOTHING_TO_DO)
    with pytest.raises(StateError) as error:
        await store.transition("d1", expected=State.VERIFY, move=Move.PASSED, now=NOW, message="")
    assert error.value.code == "state.moved_on"


async def test_a_transition_from_elsewhere_is_refused(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await walk(store, "d1", Move.START, Move.CLEAR)
    before = (await store.get("d1"), await store.events("d1"), await store.messages(state=OutboxState.PENDING))
    for expected, move, code in (
        (State.QUEUED, Move.START, "state.moved_on"),
        (State.BACKUP, Move.BACKED_UP, "state.moved_on"),
        (State.SNAPSHOT, Move.PASSED, "state.illegal"),
    ):
        with pytest.raises(StateError) as error:
            await store.transition("d1", expected=expected, move=move, now=NOW, message="")
        assert error.value.code == code
    with pytest.raises(NotFoundError):
        await store.transition("d2", expected=State.QUEUED, move=Move.START, now=NOW, message="")
    after = (await store.get("d1"), await store.events("d1"), await store.messages(state=OutboxState.PENDING))
    assert after == before


async def test_of_two_workers_one_moves_the_deploy(url: str) -> None:
    one, two = await open_store(url), await open_store(url)
    try:
        await one.create("d1", REQUEST, now=NOW)
        await walk(one, "d1", Move.START)
        outcomes = await asyncio.gather(
            one.transition("d1", expected=State.PREFLIGHT, move=Move.CLEAR, now=NOW, message=""),
            two.transition("d1", expected=State.PREFLIGHT, move=Move.FAIL, now=NOW, message=""),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, StateError) for outcome in outcomes) == 1
        assert [event.seq for event in await one.events("d1")] == [1, 2, 3]
    finally:
        await one.close()
        await two.close()


async def test_a_cancelled_write_has_been_written(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    task = asyncio.create_task(store.append("d1", lines("kept")))
    await asyncio.sleep(0)  # the write has begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event.message for event in await store.events("d1", after=1)] == ["kept"]


async def test_cancel_raises_the_flag_once(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    first = await store.request_cancel("d", reason="wrong day", now=later(1))
    again = await store.request_cancel("d1", reason="again", now=later(2))
    assert (first.cancel_reason, again) == ("wrong day", first)
    assert [event.message for event in await store.events("d1", after=1)] == ["Cancel requested: wrong day"]
    final = await walk(store, "d1", Move.CANCEL)
    assert final is State.CANCELLED
    ended = await store.get("d1")
    assert await store.request_cancel("d1", reason="late", now=later(3)) == ended
    with pytest.raises(NotFoundError):
        await store.request_cancel("d2", reason="", now=NOW)


async def test_cancel_without_a_reason_is_a_cancel(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    assert (await store.request_cancel("d1", reason="", now=NOW)).cancel_reason != ""


# --- events and evidence ---


async def test_events_are_numbered_without_gaps(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await store.append("d1", [])
    await store.append("d1", lines("a", "b", "c"))
    await walk(store, "d1", Move.START)
    await asyncio.gather(*(store.append("d1", lines(f"{n}.1", f"{n}.2")) for n in range(10)))
    found = await store.events("d1")
    assert [event.seq for event in found] == list(range(1, 26))
    assert [event.message for event in found[1:4]] == ["a", "b", "c"]
    together = [event.message.split(".") for event in found[5:]]
    assert all(one[0] == two[0] for one, two in zip(together[::2], together[1::2], strict=True))
    assert [event.seq for event in await store.events("d1", after=3, limit=2)] == [4, 5]


async def test_all_events_are_read_however_many(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await store.append("d1", lines(*(str(number) for number in range(2, 2203))))
    assert [event.seq for event in await read_events(store, "d1")] == list(range(1, 2203))
    assert [event.seq for event in await read_events(store, "d1", after=1000, last=2001)] == list(range(1001, 2002))
    assert await read_events(store, "d1", after=2202) == []
    assert await read_events(store, "d1", after=5, last=5) == []


async def test_events_come_back_as_they_were(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    event = NewEvent(
        kind=EventKind.NOTICE,
        message="naïve → 表 🗄 'quoted'; DROP TABLE events; %s :x",
        at=NOW,
        severity=Severity.WARNING,
        data={"nested": {"list": [1, 2.5, None, True, "ü\x00"]}, "big": 2**60, "nan": float("nan")},
    )
    await store.append("d1", [event])
    (found,) = await store.events("d1", after=1)
    assert found.model_dump(exclude={"deploy_id", "seq", "data"}) == event.model_dump(exclude={"data"})
    assert found.data == {**event.data, "nan": "NaN"}


async def test_what_a_database_cannot_hold_is_marked(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await store.append("d1", lines("nul \0 here"))
    await store.append("d1", [NewEvent(kind=EventKind.LOG, message="half \ud83d pair", at=NOW)])
    assert [event.message for event in await store.events("d1", after=1)] == ["nul \ufffd here", "half ? pair"]


async def test_events_of_an_unknown_deploy_are_refused(store: SqlStore) -> None:
    with pytest.raises(NotFoundError):
        await store.append("d1", lines("a"))
    with pytest.raises(NotFoundError):
        await store.put_evidence("d1", "plan", "{}")
    assert await store.events("d1") == []


async def test_a_batch_is_written_whole_or_not_at_all(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    naive = NewEvent(kind=EventKind.LOG, message="b", at=NOW.replace(tzinfo=None))
    with pytest.raises(Exception, match="naive"):
        await store.append("d1", [*lines("a"), naive])
    await store.append("d1", lines("c"))
    assert [(event.seq, event.message) for event in await store.events("d1", after=1)] == [(2, "c")]


async def test_evidence_is_kept_and_replaced(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    assert await store.get_evidence("d1", "plan") is None
    await store.put_evidence("d1", "plan", "{}")
    await store.put_evidence("d1", "snapshot", "[1]")
    await store.put_evidence("d1", "plan", '{"a": 1}')
    assert await store.get_evidence("d1", "plan") == '{"a": 1}'
    assert await store.get_evidence("d1", "snapshot") == "[1]"


# --- backups ---


async def test_backups_are_kept_marked_and_forgotten(store: SqlStore) -> None:
    records = [
        BackupRecord(
            id=f"b{n}",
            project="p" if n < 2 else "q",
            created_at=later(n),
            location="file:///b",
            state=BackupState.PUBLISHED,
            bytes=2**40,
        )
        for n in range(3)
    ]
    for record in records:
        await store.put_backup(record)
    assert await store.backups() == records[::-1]
    assert await store.backups(project="p") == [records[1], records[0]]
    await store.put_backup(records[0].model_copy(update={"bytes": 5, "deploy_id": "d1"}))
    await store.set_backup_state("b0", BackupState.VERIFIED, now=later(9))
    verified = (await store.backups(project="p"))[1]
    assert (verified.state, verified.verified_at, verified.bytes) == (BackupState.VERIFIED, later(9), 5)
    await store.set_backup_state("b0", BackupState.DAMAGED, now=later(10))
    assert (await store.backups(project="p"))[1].verified_at == later(9)
    await store.forget_backup("b0")
    await store.forget_backup("b0")
    assert [record.id for record in await store.backups()] == ["b2", "b1"]
    with pytest.raises(NotFoundError) as error:
        await store.set_backup_state("b0", BackupState.VERIFIED, now=NOW)
    assert error.value.code == "notfound.backup"


# --- outbox ---


async def test_each_target_gets_its_oldest_message_only(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await walk(store, "d1", Move.START)
    chat, pager = await store.due_messages(now=NOW, limit=10)
    assert (chat.event_seq, pager.event_seq) == (1, 1)
    await store.message_sent(chat.id, now=NOW)
    await store.message_failed(pager.id, error="HTTP 503", due_at=later(30), now=NOW)
    (following,) = await store.due_messages(now=NOW, limit=10)
    assert (following.target, following.event_seq) == ("chat", 2)
    await store.message_sent(following.id, now=NOW)
    assert await store.due_messages(now=later(29), limit=10) == []
    (retry,) = await store.due_messages(now=later(30), limit=10)
    assert (retry.id, retry.attempts, retry.last_error) == (pager.id, 1, "HTTP 503")
    await store.message_failed(retry.id, error="gone", due_at=None, now=later(30))
    (next_one,) = await store.due_messages(now=later(30), limit=10)
    assert (next_one.target, next_one.event_seq) == ("pager", 2)
    (dead,) = await store.messages(state=OutboxState.DEAD)
    assert (dead.id, dead.attempts, dead.last_error) == (pager.id, 2, "gone")


async def test_a_sent_message_stays_sent(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    message = (await store.due_messages(now=NOW, limit=1))[0]
    await store.message_sent(message.id, now=NOW)
    await store.message_failed(message.id, error="late", due_at=NOW, now=NOW)
    (sent,) = await store.messages(state=OutboxState.SENT)
    assert (sent.id, sent.attempts) == (message.id, 1)


async def test_targets_hear_of_the_states_they_want(url: str) -> None:
    store = await open_store(url, notify_targets={"all": frozenset(State), "night": {State.CANCELLED}})
    try:
        await store.create("d1", REQUEST, now=NOW)
        await store.request_cancel("d1", reason="x", now=NOW)
        await walk(store, "d1", Move.START, Move.CANCEL)
        pending = await store.messages(state=OutboxState.PENDING)
        assert sorted((m.target, m.event_seq) for m in pending) == [("all", 1), ("all", 3), ("all", 4), ("night", 4)]
    finally:
        await store.close()


async def test_messages_of_a_removed_target_wait(url: str, store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    smaller = await open_store(url, notify_targets=["pager"])
    try:
        assert [message.target for message in await smaller.due_messages(now=NOW, limit=1)] == ["pager"]
    finally:
        await smaller.close()
    assert "chat" in {message.target for message in await store.due_messages(now=NOW, limit=10)}


async def test_of_two_agents_on_postgres_one_gets_a_message(database: Database) -> None:
    url = database.url
    one, two = await open_store(url, notify_targets=BOTH), await open_store(url, notify_targets=BOTH)
    try:
        await one.create("d1", REQUEST, now=NOW)
        first, second = await asyncio.gather(one.due_messages(now=NOW, limit=10), two.due_messages(now=NOW, limit=10))
        assert sorted(message.target for message in first + second) == ["chat", "pager"]
        assert await two.due_messages(now=NOW + LEASE / 2, limit=10) == []
        assert len(await two.due_messages(now=NOW + LEASE, limit=10)) == 2  # the first agent died with them
    finally:
        await one.close()
        await two.close()


# --- schedules ---


async def test_a_cursor_moves_by_compare_and_set(store: SqlStore) -> None:
    assert await store.read_cursor("nightly") is None
    assert not await store.move_cursor("nightly", expected=NOW, to=later(1))
    assert await store.move_cursor("nightly", expected=None, to=later(1))
    assert not await store.move_cursor("nightly", expected=None, to=later(2))
    assert not await store.move_cursor("nightly", expected=NOW, to=later(2))
    assert await store.read_cursor("nightly") == later(1)
    outcomes = await asyncio.gather(*(store.move_cursor("nightly", expected=later(1), to=later(2)) for _ in range(4)))
    assert sorted(outcomes) == [False, False, False, True]
    assert await store.read_cursor("nightly") == later(2)


# --- constraints: each is violated once, past the store's own methods ---

DEPLOY = {"id": "x", "project": "px", "state": "queued", "request": "{}", "created_at": NOW, "updated_at": NOW}
EVENT = {"deploy_id": "d1", "seq": 2, "kind": "log", "at": NOW, "severity": "info", "message": "", "data": "{}"}
MESSAGE = {"target": "t", "deploy_id": "d1", "event_seq": 1, "due_at": NOW, "created_at": NOW}
BACKUP = {"id": "b", "project": "p", "created_at": NOW, "location": "l", "state": "published", "bytes": 0}
APPROVAL = {"deploy_id": "d1", "number": 1, "proposal": "{}", "reason": "r", "asked_at": NOW}
VIOLATIONS = {
    "deploys_id_given": insert(schema.deploys).values({**DEPLOY, "id": ""}),
    "deploys_project_given": insert(schema.deploys).values({**DEPLOY, "project": ""}),
    "deploys_state_known": insert(schema.deploys).values({**DEPLOY, "state": "asleep"}),
    "deploys_final_is_finished": insert(schema.deploys).values({**DEPLOY, "state": "succeeded"}),
    "deploys_final_is_finished, the other way": insert(schema.deploys).values({**DEPLOY, "finished_at": NOW}),
    "deploys_last_seq_counts": insert(schema.deploys).values({**DEPLOY, "last_seq": -1}),
    "deploys_one_open_per_project": insert(schema.deploys).values({**DEPLOY, "project": REQUEST.project}),
    "deploys_pkey": insert(schema.deploys).values({**DEPLOY, "id": "d1"}),
    "events_seq_from_one": insert(schema.events).values({**EVENT, "seq": 0}),
    "events_pkey": insert(schema.events).values({**EVENT, "seq": 1}),
    "events_deploy_id_fkey": insert(schema.events).values({**EVENT, "deploy_id": "nobody"}),
    "evidence_name_given": insert(schema.evidence).values(deploy_id="d1", name="", content=""),
    "evidence_deploy_id_fkey": insert(schema.evidence).values(deploy_id="nobody", name="n", content=""),
    "outbox_target_given": insert(schema.outbox).values({**MESSAGE, "target": ""}),
    "outbox_state_known": insert(schema.outbox).values({**MESSAGE, "state": "lost"}),
    "outbox_attempts_count": insert(schema.outbox).values({**MESSAGE, "attempts": -1}),
    "outbox_sent_has_time": insert(schema.outbox).values({**MESSAGE, "state": "sent"}),
    "outbox_sent_has_time, the other way": insert(schema.outbox).values({**MESSAGE, "sent_at": NOW}),
    "outbox_dead_says_why": insert(schema.outbox).values({**MESSAGE, "state": "dead"}),
    "outbox_tells_an_event": insert(schema.outbox).values({**MESSAGE, "event_seq": 99}),
    "outbox_once": insert(schema.outbox).values({**MESSAGE, "target": "chat"}),
    "backups_id_given": insert(schema.backups).values({**BACKUP, "id": ""}),
    "backups_location_given": insert(schema.backups).values({**BACKUP, "location": ""}),
    "backups_state_known": insert(schema.backups).values({**BACKUP, "state": "lost"}),
    "backups_bytes_count": insert(schema.backups).values({**BACKUP, "bytes": -1}),
    "backups_verified_has_time": insert(schema.backups).values({**BACKUP, "state": "verified"}),
    "approvals_number_from_one": insert(schema.approvals).values({**APPROVAL, "number": 0}),
    "approvals_answer_known": insert(schema.approvals).values(
        {**APPROVAL, "answer": "maybe", "answered_at": NOW, "answered_by": "p"}
    ),
    "approvals_answer_has_time": insert(schema.approvals).values(
        {**APPROVAL, "answer": "approved", "answered_by": "p"}
    ),
    "approvals_answer_has_time, the other way": insert(schema.approvals).values({**APPROVAL, "answered_at": NOW}),
    "approvals_answer_has_person": insert(schema.approvals).values(
        {**APPROVAL, "answer": "approved", "answered_at": NOW}
    ),
    "approvals_one_open_per_deploy": insert(schema.approvals).values([APPROVAL, {**APPROVAL, "number": 2}]),
    "approvals_deploy_id_fkey": insert(schema.approvals).values({**APPROVAL, "deploy_id": "nobody"}),
    "cursors_name_given": insert(schema.cursors).values(name="", due_at=NOW),
}
CHECKS = {
    str(constraint.name)
    for table in schema.metadata.tables.values()
    for constraint in table.constraints
    if isinstance(constraint, CheckConstraint)
}


@pytest.mark.parametrize("name", VIOLATIONS)
async def test_the_database_refuses_what_would_break_a_rule(store: SqlStore, name: str) -> None:
    await store.create("d1", REQUEST, now=NOW)
    with pytest.raises(IntegrityError) as error:
        async with store._engine.begin() as connection:
            await connection.execute(VIOLATIONS[name])
    constraint = name.partition(",")[0]
    if isinstance(error.value.orig, psycopg.Error):
        assert error.value.orig.diag.constraint_name == constraint
    elif constraint in CHECKS:  # SQLite names no other kind
        assert str(error.value.orig) == f"CHECK constraint failed: {constraint}"


async def test_what_must_be_given_may_not_be_null(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    with pytest.raises(IntegrityError):
        async with store._engine.begin() as connection:
            await connection.execute(update(schema.deploys).values(request=None))


def test_every_named_constraint_is_violated_above() -> None:
    named = {
        str(constraint.name)
        for table in schema.metadata.tables.values()
        for constraint in table.constraints
        if constraint.name
    }
    unique = {str(index.name) for table in schema.metadata.tables.values() for index in table.indexes if index.unique}
    assert named | unique <= {name.partition(",")[0] for name in VIOLATIONS}


async def test_a_broken_rule_is_a_store_error(store: SqlStore) -> None:
    record = BackupRecord(
        id="b", project="p", created_at=NOW, location="l", state=BackupState.VERIFIED, bytes=1
    )  # verified, but when?
    with pytest.raises(StoreError) as error:
        await store.put_backup(record)
    assert error.value.code == "store.constraint"


# --- approvals ---


async def test_a_question_is_kept_and_told_and_answered_once(store: SqlStore, url: str) -> None:
    await store.create("d1", REQUEST, now=NOW)
    asked = await store.ask_approval("d1", PROPOSAL, reason="because", now=later(1))
    waiting = await store.get("d1")
    assert waiting.waits_for_approval
    assert waiting.approval == asked == Approval(number=1, proposal=PROPOSAL, reason="because", asked_at=later(1))
    assert [one.approval for one in await store.deploys()] == [asked]
    other = await open_store(url, notify_targets=BOTH)  # another process on the same store
    try:
        answered = await other.answer_approval("d1", approve=True, by="nina", remark="go", now=later(2))
    finally:
        await other.close()
    assert not answered.waits_for_approval
    assert (await store.get("d1")).approval == asked.model_copy(
        update={"answer": Answer.APPROVED, "answered_at": later(2), "answered_by": "nina", "remark": "go"}
    )
    told = [event for event in await store.events("d1") if event.kind is EventKind.APPROVAL]
    assert [event.data["answer"] for event in told] == [None, "approved"]
    assert [event.seq for event in told] == [2, 3]
    outbox = await store.messages(state=OutboxState.PENDING)
    assert sorted((one.target, one.event_seq) for one in outbox) == [(name, n) for name in BOTH for n in (1, 2, 3)]


async def test_the_first_answer_stays(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await store.ask_approval("d1", PROPOSAL, reason="because", now=NOW)
    first = await store.answer_approval("d1", approve=False, by="nina", now=later(1))
    assert await store.answer_approval("d1", approve=False, by="omar", now=later(2)) == first
    with pytest.raises(NotFoundError, match="was rejected by nina") as error:
        await store.answer_approval("d1", approve=True, by="omar", now=later(2))
    assert error.value.code == "notfound.approval"
    assert (await store.get("d1")).approval == first.approval
    assert len(await store.events("d1")) == 3


async def test_of_two_answers_at_once_one_counts(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await store.ask_approval("d1", PROPOSAL, reason="because", now=NOW)
    answers = await asyncio.gather(
        *(store.answer_approval("d1", approve=yes, by="p", now=NOW) for yes in (True, False)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in answers) == ["Deploy", "NotFoundError"]
    assert len(await store.events("d1")) == 3


async def test_a_new_question_takes_the_place_of_the_open_one(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    await store.ask_approval("d1", PROPOSAL, reason="because", now=NOW)
    second = await store.ask_approval("d1", PROPOSAL.model_copy(update={"rung": 4}), reason="because", now=later(1))
    assert (await store.get("d1")).approval == second
    assert second.number == 2
    with pytest.raises(NotFoundError, match="number 2, not 1"):
        await store.answer_approval("d1", number=1, approve=True, by="nina", now=later(2))
    assert (await store.answer_approval("d1", number=2, approve=True, by="nina", now=later(2))).approval is not None


async def test_there_is_nothing_to_answer(store: SqlStore) -> None:
    await store.create("d1", REQUEST, now=NOW)
    with pytest.raises(NotFoundError, match="has asked nothing"):
        await store.answer_approval("d1", approve=True, by="nina", now=NOW)
    with pytest.raises(NotFoundError) as error:
        await store.answer_approval("nobody", approve=True, by="nina", now=NOW)
    assert error.value.code == "notfound.deploy"
    await store.ask_approval("d1", PROPOSAL, reason="because", now=NOW)
    await walk(store, "d1", Move.CANCEL)
    assert not (await store.get("d1")).waits_for_approval
    with pytest.raises(NotFoundError, match="has ended"):
        await store.answer_approval("d1", approve=True, by="nina", now=NOW)


# --- opening ---


async def test_what_was_written_is_there_after_reopening(url: str) -> None:
    store = await open_store(url, notify_targets=BOTH)
    await store.create("d1", REQUEST, now=NOW)
    await store.append("d1", lines("a"))
    before = (await store.get("d1"), await store.events("d1"))
    await store.close()
    store = await open_store(url, notify_targets=BOTH)
    try:
        assert (await store.get("d1"), await store.events("d1")) == before
    finally:
        await store.close()


async def test_several_agents_may_open_an_empty_store_at_once(url: str) -> None:
    stores = await asyncio.gather(*(open_store(url) for _ in range(4)))
    for store in stores:
        assert await store.deploys() == []
        await store.close()


async def test_a_store_of_the_first_version_is_brought_up(url: str) -> None:
    old = await open_store(url)
    await old.create("d1", REQUEST, now=NOW)
    before = (await old.get("d1"), await old.events("d1"))
    async with old._engine.begin() as connection:  # as version 1 left it
        await connection.execute(DropTable(schema.approvals))
        await connection.execute(update(schema.meta).values(value="1"))
    await old.close()
    stores = await asyncio.gather(*(open_store(url) for _ in range(3)))
    try:
        assert (await stores[0].get("d1"), await stores[0].events("d1")) == before
        assert (await stores[1].ask_approval("d1", PROPOSAL, reason="because", now=NOW)).number == 1
        async with stores[2]._engine.connect() as connection:
            assert await connection.scalar(select(schema.meta.c.value)) == str(schema.VERSION)
    finally:
        for store in stores:
            await store.close()


async def test_a_store_of_a_newer_agent_is_refused(url: str, store: SqlStore) -> None:
    async with store._engine.begin() as connection:
        await connection.execute(update(schema.meta).values(value=str(schema.VERSION + 1)))
    with pytest.raises(StoreError) as error:
        await open_store(url)
    assert error.value.code == "store.too_new"


@pytest.mark.parametrize(
    "bad", ["", "agent.db", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql://h:x/d"]
)
async def test_a_store_url_that_is_none(bad: str) -> None:
    with pytest.raises(InputError) as error:
        await open_store(bad)
    assert error.value.code == "settings.store_url"
