"""Statements, transactions, notices and cancellation on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from pydantic import SecretStr

from agent.edges.target import PsycopgSession, PsycopgTarget
from agent.edges.target_script import is_blank
from agent.errors import StatementError, TargetError
from agent.ports import Notice
from tests.conftest import Database
from tests.support.freezer import freezer

# Says that it has begun, and then waits until somebody else gives lock 7 back.
WAIT = "DO $$ BEGIN RAISE NOTICE 'begun'; PERFORM pg_advisory_lock(7); END $$"


def target_of(database: Database) -> PsycopgTarget:
    return PsycopgTarget(SecretStr(database.url))


@pytest.fixture
async def session(database: Database) -> AsyncIterator[PsycopgSession]:
    async with target_of(database).session(purpose="test") as opened:
        yield opened


@asynccontextmanager
async def lock_held(database: Database) -> AsyncIterator[PsycopgSession]:
    async with target_of(database).session(purpose="holder") as holder:
        await holder.run("SELECT pg_advisory_lock(7)")
        yield holder


def notices_of(session: PsycopgSession) -> asyncio.Queue[Notice]:
    heard: asyncio.Queue[Notice] = asyncio.Queue()
    session.on_notice(heard.put_nowait)
    return heard


async def test_rows_are_dicts_with_python_values(session: PsycopgSession) -> None:
    rows = await session.rows(
        "SELECT 1 AS a, 'ü€𝄞' AS b, ARRAY['x', NULL] AS c, NULL::int AS d UNION ALL SELECT 2, '', '{}', 3"
    )
    assert rows == [{"a": 1, "b": "ü€𝄞", "c": ["x", None], "d": None}, {"a": 2, "b": "", "c": [], "d": 3}]


async def test_a_statement_without_rows_gives_none(session: PsycopgSession) -> None:
    assert await session.rows("CREATE TABLE t (a int)") == []
    assert await session.value("SELECT a FROM t") is None
    assert await session.rows("SELECT a FROM t") == []
    assert await session.run("INSERT INTO t VALUES (1), (2)") == "INSERT 0 2"


async def test_percent_signs_and_braces_are_left_alone_without_parameters(session: PsycopgSession) -> None:
    assert await session.value("SELECT '100%s %(a)s %% {b}'") == "100%s %(a)s %% {b}"


async def test_parameters_and_names(session: PsycopgSession) -> None:
    await session.run('CREATE TABLE "we ""ird" (a text)')
    await session.run("INSERT INTO {table} VALUES (%(a)s)", {"a": "o'k %s"}, names={"table": ("public", 'we "ird')})
    assert await session.value("SELECT a FROM {table}", names={"table": 'we "ird'}) == "o'k %s"


_AWKWARD = ["it's", 'q"\\', "NULL", "", "{,}", "%s", "%(c)s", "a\nb\t", "ünï €", "$$", "\\"]


@pytest.mark.parametrize(
    ("casts", "values"),
    [
        ({"a": "text[]", "b": "text", "c": "text", "d": "int"}, {"a": _AWKWARD, "b": None, "c": "x\\'y", "d": 3}),
        ({"a": "text[]", "b": "text", "c": "text", "d": "oid[]"}, {"a": _AWKWARD, "b": "", "c": "x\\'y", "d": [3, 1]}),
        ({"a": "text[]", "b": "text[]", "c": "bigint[]"}, {"a": [], "b": ["x", None], "c": [-(2**40), 7]}),
    ],
    ids=["by psycopg", "by the session", "odd lists"],
)
async def test_bound_values_are_the_same_as_parameters(
    session: PsycopgSession, casts: dict[str, str], values: dict[str, object]
) -> None:
    text = "SELECT " + ", ".join(f"%({name})s::{cast} AS {name}" for name, cast in casts.items()) + ", '%%' AS e"
    assert await session.rows(session.bind(text, values)) == [{**values, "e": "%"}]
    await session.run("SET standard_conforming_strings = off; SET escape_string_warning = off")
    assert await session.rows(session.bind(text, values)) == [{**values, "e": "%"}]


async def test_a_bound_value_is_never_cut_short(session: PsycopgSession) -> None:
    for value in ("a\0b", ["a", "b\0c"]):
        with pytest.raises(TargetError) as caught:
            session.bind("SELECT %(a)s::text[]", {"a": value})
        assert caught.value.code == "target.value"


async def test_a_value_that_python_cannot_hold(session: PsycopgSession) -> None:
    with pytest.raises(TargetError) as caught:
        await session.rows("SELECT 'infinity'::timestamptz AS at")
    assert caught.value.code == "target.value"
    with pytest.raises(TargetError) as caught:
        await session.rows("SELECT %(a)s", {"a": object()})
    assert caught.value.code == "target.value"
    assert await session.value("SELECT 1") == 1


async def test_a_big_result_arrives_whole(session: PsycopgSession) -> None:
    rows = await session.rows("SELECT i, repeat('x', 200) AS t FROM generate_series(1, 100000) AS i")
    assert len(rows) == 100_000
    assert rows[-1] == {"i": 100_000, "t": "x" * 200}


async def test_a_nul_is_refused_and_never_cuts_a_statement_short(session: PsycopgSession) -> None:
    with pytest.raises(StatementError) as caught:
        await session.run("CREATE TABLE t (a int);\0DROP TABLE t")
    assert (caught.value.sqlstate, caught.value.position) == ("22021", 24)
    assert await session.value("SELECT to_regclass('t')") is None


async def test_a_name_may_hold_percent_signs_and_braces(session: PsycopgSession) -> None:
    name = 'odd %s %(x)s 100% {0} {name} "q"'
    await session.run("CREATE TEMP TABLE {table} AS SELECT 1 AS one", names={"table": name})
    assert await session.value("SELECT one FROM {table} WHERE one = %(one)s", {"one": 1}, names={"table": name}) == 1
    assert await session.value(session.bind("SELECT %(it)s FROM {table}", {"it": "%"}, names={"table": name})) == "%"
    assert await session.value(session.bind("SELECT 5 %% one FROM {table}", {}, names={"table": name})) == 0


async def test_the_session_is_named_and_knows_its_backend(session: PsycopgSession) -> None:
    assert await session.value("SHOW application_name") == "deploy-agent/test"
    assert await session.value("SELECT pg_backend_pid()") == session.pid


async def test_dates_are_not_changed_by_the_session(session: PsycopgSession, database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.url) as plain:
        for setting in ("TimeZone", "DateStyle", "search_path", "IntervalStyle"):
            cursor = await plain.execute(f"SHOW {setting}")
            assert (await session.value(f"SHOW {setting}"),) == await cursor.fetchone()


@pytest.mark.parametrize(
    ("sql", "sqlstate", "code"),
    [
        ("SELEC 1", "42601", "target.statement_failed"),
        ("SET ROLE anon; CREATE TABLE public.t (a int)", "42501", "target.permission_denied"),
        ("BEGIN READ ONLY; CREATE TABLE t (a int)", "25006", "target.read_only"),
        ("SET statement_timeout = 20; SELECT pg_sleep(60)", "57014", "target.statement_timeout"),
        ("COPY pg_class FROM STDIN", "42501", "target.permission_denied"),
        ("CREATE TEMP TABLE c (a int); COPY c FROM STDIN", "0A000", "target.copy_from_stdin"),
    ],
)
async def test_codes_by_sqlstate(session: PsycopgSession, sql: str, sqlstate: str, code: str) -> None:
    with pytest.raises(StatementError) as caught:
        await session.run(sql)
    assert (caught.value.sqlstate, caught.value.code) == (sqlstate, code)
    await session.run("ROLLBACK")
    assert await session.value("SELECT 1") == 1


async def test_a_failed_statement_says_all_that_the_server_said(session: PsycopgSession) -> None:
    await session.run("CREATE TABLE t (a int CONSTRAINT positive CHECK (a > 0))")
    with pytest.raises(StatementError) as caught:
        await session.run("INSERT INTO t VALUES (%(a)s)", {"a": -1})
    error = caught.value
    assert (error.sqlstate, error.constraint) == ("23514", "positive")
    assert "(-1)" in error.detail
    with pytest.raises(StatementError) as caught:
        await session.run("SELECT 'ä', nope")
    assert caught.value.position == 13
    with pytest.raises(StatementError) as caught:
        await session.run("DO $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'try', ERRCODE = 'P0007'; END $$")
    assert (caught.value.sqlstate, caught.value.server_hint) == ("P0007", "try")
    assert "PL/pgSQL function" in caught.value.context


async def test_a_lock_that_is_not_to_be_had(session: PsycopgSession, database: Database) -> None:
    async with target_of(database).session(purpose="other") as other, other.transaction():
        await other.run("LOCK TABLE auth.users IN ACCESS SHARE MODE")
        await session.run("SET lock_timeout = 20")
        with pytest.raises(StatementError) as caught:
            await session.run("ALTER TABLE auth.users ADD COLUMN x int")
    assert (caught.value.sqlstate, caught.value.code) == ("55P03", "target.lock_timeout")


async def test_copy_to_stdout_is_read_and_dropped(session: PsycopgSession) -> None:
    await session.run("COPY (SELECT generate_series(1, 20000)) TO STDOUT")
    assert await session.value("SELECT 1") == 1


async def test_run_many_in_one_transaction(session: PsycopgSession) -> None:
    async with session.transaction():
        await session.run_many(["CREATE TABLE t (a text)", "INSERT INTO t VALUES ('50%') -- done", "/* nothing */", ""])
        await session.run_many([])
    assert await session.value("SELECT a FROM t") == "50%"


@pytest.mark.parametrize(
    ("statements", "index", "position", "sqlstate"),
    [
        (["SELECT 1", "SELECT 1/0", "SELECT 2"], 2, None, "22012"),
        (["SELECT 1", "-- only this", "/* and /* this */ */", "SELECT 1/0"], 4, None, "22012"),
        (["-- ä\nSELECT 1", "SELECT 'ö', nope -- tail", "SELECT 2"], 2, 13, "42703"),
        (["SELECT 1", "SELEC 2"], 2, 1, "42601"),
        (["SELECT 1", "SELECT (", "SELECT 2"], 2, 9, "42601"),
        (["SET standard_conforming_strings = off", r"SELECT 'it\'s'", "SELECT 1/0"], 3, None, "22012"),
        (["CREATE TEMP TABLE c (a int)", "COPY c FROM STDIN"], 2, None, "0A000"),
    ],
)
async def test_run_many_names_the_statement_that_failed(
    session: PsycopgSession, statements: list[str], index: int, position: int | None, sqlstate: str
) -> None:
    await session.run("SET escape_string_warning = off")
    with pytest.raises(StatementError) as caught:
        async with session.transaction():
            await session.run_many(statements)
    assert caught.value.where == {"statement": index}
    assert (caught.value.position, caught.value.sqlstate) == (position, sqlstate)
    assert not await session.in_transaction()


async def test_run_transaction_commits_or_leaves_nothing(session: PsycopgSession) -> None:
    await session.run_transaction(
        ["CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)", "INSERT INTO t VALUES (1)"]
    )
    with pytest.raises(StatementError) as caught:
        await session.run_transaction(["INSERT INTO t VALUES (2)", "-- x", "SELECT nope"])
    assert caught.value.where == {"statement": 3}
    assert caught.value.position == 8
    with pytest.raises(StatementError) as caught:
        await session.run_transaction(["INSERT INTO t VALUES (1)"])
    assert (caught.value.where, caught.value.sqlstate) == ({"at": "commit"}, "23505")
    with pytest.raises(StatementError) as caught:
        await session.run_transaction(["SET standard_conforming_strings = on", "SELECT 1/0"])
    assert caught.value.where == {"statement": 2}
    assert not await session.in_transaction()
    assert await session.rows("SELECT a FROM t") == [{"a": 1}]


async def test_a_transaction_and_its_savepoints(session: PsycopgSession) -> None:
    async with session.transaction():
        assert await session.in_transaction()
        await session.run("CREATE TABLE t (a int)")
        with pytest.raises(StatementError):  # noqa: PT012 - it is the end of the transaction that raises
            async with session.transaction():
                await session.run("INSERT INTO t VALUES (1)")
                await session.run("SELECT 1/0")
        async with session.transaction():
            await session.run("INSERT INTO t VALUES (2)")
    assert not await session.in_transaction()
    assert await session.rows("SELECT a FROM t") == [{"a": 2}]


async def test_a_read_only_repeatable_transaction(session: PsycopgSession) -> None:
    with pytest.raises(StatementError) as caught:  # noqa: PT012 - it is the end of the transaction that raises
        async with session.transaction(read_only=True, repeatable=True):
            assert await session.value("SHOW transaction_isolation") == "repeatable read"
            await session.run("CREATE TABLE t (a int)")
    assert caught.value.code == "target.read_only"


async def test_nothing_is_called_committed_that_is_not(session: PsycopgSession) -> None:
    with pytest.raises(TargetError) as caught:  # noqa: PT012 - it is the end of the transaction that raises
        async with session.transaction():
            with pytest.raises(StatementError):
                await session.run("SELECT 1/0")
    assert caught.value.code == "target.transaction_failed"
    with pytest.raises(TargetError) as caught:
        async with session.transaction():
            await session.run("COMMIT")
    assert caught.value.code == "target.transaction_ended"


async def test_a_notice_is_heard_while_its_statement_still_runs(session: PsycopgSession, database: Database) -> None:
    heard = notices_of(session)
    async with lock_held(database) as holder:
        running = asyncio.create_task(session.run(WAIT))
        notice = await heard.get()
        assert (notice.severity, notice.message, notice.sqlstate) == ("NOTICE", "begun", "00000")
        assert not running.done()
        await holder.run("SELECT pg_advisory_unlock(7)")
        assert await running == "DO"


async def test_a_warning_is_heard_whatever_the_role_has_set(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
        await admin.execute(f"ALTER DATABASE {database.name} SET client_min_messages = error")
    async with target_of(database).session(purpose="test") as session:
        heard = notices_of(session)
        await session.run("DO $$ BEGIN RAISE WARNING 'w' USING DETAIL = 'd', HINT = 'h'; END $$")
        notice = heard.get_nowait()
        assert (notice.severity, notice.message, notice.detail, notice.hint) == ("WARNING", "w", "d", "h")
        session.on_notice(None)
        await session.run("DO $$ BEGIN RAISE WARNING 'w'; END $$")
        assert heard.empty()


async def test_cancel_ends_the_statement_and_keeps_the_session(session: PsycopgSession, database: Database) -> None:
    heard = notices_of(session)
    async with lock_held(database):
        running = asyncio.create_task(session.run(WAIT))
        await heard.get()
        await session.cancel()
        with pytest.raises(StatementError) as caught:
            await running
    assert (caught.value.code, caught.value.sqlstate) == ("target.cancelled", "57014")
    assert await session.value("SELECT 1") == 1
    await session.cancel()
    assert await session.value("SELECT 2") == 2


async def test_a_cancelled_task_leaves_nothing_running(session: PsycopgSession, database: Database) -> None:
    heard = notices_of(session)
    async with lock_held(database) as holder:
        for call in (session.run(WAIT), session.run_many([WAIT, "SELECT 1"]), session.run_transaction([WAIT])):
            running = asyncio.create_task(call)
            await heard.get()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            active = "SELECT state FROM pg_stat_activity WHERE pid = %(pid)s"
            assert await holder.value(active, {"pid": session.pid}) == "idle"
            assert not await session.in_transaction()
    assert await session.value("SELECT 1") == 1


async def test_closing_a_session_stops_what_it_runs(database: Database) -> None:
    async with lock_held(database) as holder:
        session = await target_of(database).connect(purpose="test")
        heard = notices_of(session)
        running = asyncio.create_task(session.run(WAIT))
        await heard.get()
        await session.close()
        await session.close()
        with pytest.raises(TargetError):
            await running
        # The lock is free only if nobody waits for it in vain: the backend was told to stop.
        await holder.run("SELECT pg_advisory_unlock(7)")
        await holder.value("SELECT pg_advisory_lock(7)")
    with pytest.raises(TargetError) as caught:
        await session.run("SELECT 1")
    assert caught.value.code == "target.connection_lost"


async def test_a_backend_that_is_ended_in_the_middle(session: PsycopgSession, database: Database) -> None:
    heard = notices_of(session)
    async with lock_held(database) as holder:
        running = asyncio.create_task(session.run_transaction([WAIT]))
        await heard.get()
        await holder.run("SELECT pg_terminate_backend(%(pid)s)", {"pid": session.pid})
        with pytest.raises(TargetError) as caught:
            await running
    assert caught.value.code == "target.connection_lost"
    assert not isinstance(caught.value, StatementError)
    assert database.name in caught.value.message
    assert not await session.in_transaction()
    for again in (session.run("SELECT 1"), session.rows("SELECT %(a)s", {"a": 1})):
        with pytest.raises(TargetError) as caught:
            await again
        assert caught.value.code == "target.connection_lost"


async def test_an_answer_that_never_arrives(database: Database) -> None:
    """The connection stands, the migration commits, and nothing comes back: the CLI waits for ever."""
    async with freezer(database.server.port) as proxy, lock_held(database) as holder:
        url = database.url.replace(f":{database.server.port}/", f":{proxy.port}/")
        async with PsycopgTarget(SecretStr(url), dead_after_s=0.2).session(purpose="test") as session:
            heard = notices_of(session)
            running = asyncio.create_task(session.run_transaction(["CREATE TABLE t (a int)", WAIT]))
            await heard.get()
            proxy.freeze()
            await holder.run("SELECT pg_advisory_unlock(7)")
            with pytest.raises(TargetError) as caught:
                await running
        assert caught.value.code == "target.connection_lost"
        assert "did not arrive" in caught.value.message
        assert await holder.value("SELECT to_regclass('t')::text") == "t"


async def test_a_network_that_swallows_everything(database: Database) -> None:
    async with freezer(database.server.port) as proxy, lock_held(database):
        url = database.url.replace(f":{database.server.port}/", f":{proxy.port}/")
        target = PsycopgTarget(SecretStr(url), dead_after_s=0.2)
        async with target.session(purpose="test") as session:
            heard = notices_of(session)
            running = asyncio.create_task(session.run(WAIT))
            await heard.get()
            proxy.freeze(new=True)
            with pytest.raises(TargetError) as caught:
                await running
            assert caught.value.code == "target.connection_lost"
            assert "a second connection failed too" in caught.value.message


async def test_a_long_statement_is_left_alone(database: Database) -> None:
    target = PsycopgTarget(SecretStr(database.url), dead_after_s=0.05)
    async with lock_held(database) as holder, target.session(purpose="test") as session:
        heard = notices_of(session)
        running = asyncio.create_task(session.run(WAIT))
        await heard.get()
        looks = "SELECT pg_stat_get_db_sessions(oid) FROM pg_database WHERE datname = current_database()"
        before = await holder.value(looks)
        async with asyncio.timeout(60):
            while await holder.value(looks) < before + 3:  # three looks have been taken and are over
                await holder.run("SELECT pg_stat_clear_snapshot()")
        assert not running.done()
        await holder.run("SELECT pg_advisory_unlock(7)")
        assert await running == "DO"


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        ("", True),
        (" \n\t", True),
        ("-- x", True),
        ("-- x\n/* y /* z */ */ -- w", True),
        ("/* not closed", True),
        ("-- x\nSELECT 1", False),
        ("/* /* */ */ ;", False),
        ("- 1", False),
    ],
)
def test_blank(text: str, *, blank: bool) -> None:
    assert is_blank(text) is blank


async def test_run_transactions_commit_each_and_end_at_the_first_failure(session: PsycopgSession) -> None:
    await session.run_transactions([["CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"], ["-- x", ""]])
    with pytest.raises(StatementError) as caught:
        await session.run_transactions(
            [["INSERT INTO t VALUES (1)"], ["-- x", "SELECT 1", "SELECT nope"], ["SELECT 2"]]
        )
    assert caught.value.where == {"transaction": 2, "statement": 3}
    assert caught.value.position == len("SELECT n")
    with pytest.raises(StatementError) as caught:
        await session.run_transactions([["INSERT INTO t VALUES (2)"], ["INSERT INTO t VALUES (2)"], ["DROP TABLE t"]])
    assert caught.value.where == {"transaction": 2, "at": "commit"}
    assert not await session.in_transaction()
    assert [row["a"] for row in await session.rows("SELECT a FROM t ORDER BY a")] == [1, 2]


@pytest.mark.parametrize("ahead", ["INSERT INTO t VALUES (1)", "SET standard_conforming_strings = on"])
async def test_transactions_before_one_that_does_not_parse_are_committed(session: PsycopgSession, ahead: str) -> None:
    await session.run("CREATE TABLE t (a int)")
    with pytest.raises(StatementError) as caught:
        await session.run_transactions(
            [["INSERT INTO t VALUES (0)"], [ahead], ["SELECT 1", "SELEKT"], ["DROP TABLE t"]]
        )
    assert caught.value.where == {"transaction": 3, "statement": 2}
    assert caught.value.sqlstate == "42601"
    assert await session.value("SELECT count(*) FROM t WHERE a = 0") == 1


async def test_a_notice_says_which_part_raised_it(session: PsycopgSession) -> None:
    heard: dict[str, int] = {}
    session.on_notice(lambda notice: heard.update({notice.message: notice.part}))
    say = "DO $$ BEGIN RAISE NOTICE '{0}'; END $$".format
    await session.run(say("alone"))
    await session.run_transactions([[say("a"), "SELECT 1"], ["SELECT 2", "-- nothing", say("b"), say("c")], [say("d")]])
    assert heard == {"alone": 0, "a": 1, "b": 2, "c": 2, "d": 3}
    await session.run_many(
        ["-- nothing", "SELECT 1", "SELECT 2", say("fourth"), "", "SELECT 3", "SELECT 4", say("last")]
    )
    assert heard["fourth"] in {3, 4}
    assert heard["last"] in {7, 8}
