"""Each way in which a connection cannot be made, provoked for real."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from agent.edges.embedded import EmbeddedPostgres
from agent.edges.target import PsycopgTarget
from agent.errors import AgentError, InputError, TargetError
from tests.conftest import Database
from tests.support import tls
from tests.support.pooler import transaction_pooler

SECRET = "s3cr3t-word"


async def refusal(url: str, **options: int) -> AgentError:
    """The error that connecting ends in; none of them may show the password."""
    with pytest.raises(AgentError) as caught:
        await PsycopgTarget(SecretStr(url), **options).connect(purpose="test")
    error = caught.value
    assert SECRET not in f"{error} {error.hint} {error.where}"
    return error


@pytest.fixture(scope="module")
def tls_server() -> Iterator[EmbeddedPostgres]:
    """A server that demands TLS, but for the database `pooled`, which trusts everybody."""
    with tls.tls_postgres(
        "host pooled all 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        "local all all scram-sha-256\nhostnossl all supabase_admin 127.0.0.1/32 scram-sha-256\n"
    ) as server:
        yield server


def with_tls(server: EmbeddedPostgres, options: str, *, database: str = "postgres", host: str = "127.0.0.1") -> str:
    return server.url(database).replace("sslmode=disable", options).replace("@127.0.0.1", f"@{host}")


@asynccontextmanager
async def listener(answer: bytes | None) -> AsyncIterator[int]:
    """A port that answers anything with the same bytes and hangs up; None: that never answers."""
    closing = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if answer is None:
                await closing.wait()
            else:
                await reader.read(1)
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        closing.set()
        server.close()
        await server.wait_closed()


def test_the_label_names_the_place_without_password_or_user() -> None:
    assert (
        PsycopgTarget(SecretStr("postgresql://u:p@db.example:6000/app?sslmode=require")).label == "db.example:6000/app"
    )
    assert PsycopgTarget(SecretStr("host=db.example dbname=app")).label == "db.example:5432/app"
    assert PsycopgTarget(SecretStr("postgresql://u:p@[::1]/app")).label == "::1:5432/app"
    assert PsycopgTarget(SecretStr("host=/run/postgresql dbname=app")).label == "/run/postgresql:5432/app"


@pytest.mark.parametrize(
    "url",
    [
        f"nonsense {SECRET}",
        f"postgresql://u:p@{SECRET}@host/db",
        f"postgresql://u:p/{SECRET}@host/db",
        f"postgresql://u:12/{SECRET}@host/db",
        f"postgresql://u:p#{SECRET}@host:x/db",
        f"postgresql://u:{SECRET}@host/db?nonsense=1",
    ],
)
def test_a_bad_connection_string_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InputError) as caught:
        PsycopgTarget(SecretStr(url))
    assert caught.value.code == "input.database_url"
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_a_host_that_does_not_exist() -> None:
    error = await refusal(f"postgresql://u:{SECRET}@nowhere.invalid/db")
    assert error.code == "target.unreachable"
    assert "cannot be resolved" in error.message
    assert "nowhere.invalid" in error.message


async def test_supabase_direct_host_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    host = "db.abcdefghijklmnopqrst.supabase.co"

    async def only_ipv6(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", only_ipv6)
    error = await refusal(f"postgresql://postgres:{SECRET}@{host}/postgres")
    assert error.code == "target.unreachable"
    assert "session pooler" in error.hint


async def test_a_port_that_refuses() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        error = await refusal(f"postgresql://u:{SECRET}@127.0.0.1:{bound.getsockname()[1]}/db")
    assert error.code == "target.unreachable"
    assert "connection refused" in error.message


async def test_an_address_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.edges.target_diagnosis.PROBE_S", 0.1)
    async with listener(None) as port:
        error = await refusal(f"postgresql://u:{SECRET}@127.0.0.1:{port}/db", connect_timeout_s=1)
    assert error.code == "target.unreachable"
    assert "does not answer" in error.message


@pytest.mark.parametrize(
    ("answer", "reason"), [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "not PostgreSQL"), (b"", "closed the connection")]
)
async def test_something_else_on_the_port(answer: bytes, reason: str) -> None:
    async with listener(answer) as port:
        error = await refusal(f"postgresql://u:{SECRET}@127.0.0.1:{port}/db")
    assert error.code == "target.unreachable"
    assert reason in error.message


async def test_a_wrong_password_or_none(database: Database) -> None:
    place = f"127.0.0.1:{database.server.port}/{database.name}?sslmode=disable"
    for who in (f"postgres:{SECRET}", "postgres", f"nobody_here:{SECRET}"):
        error = await refusal(f"postgresql://{who}@{place}")
        assert error.code == "target.auth_failed"
        assert f"127.0.0.1:{database.server.port}" in error.message


async def test_a_role_that_may_not_log_in(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
        await admin.execute(f"ALTER ROLE dashboard_user PASSWORD '{SECRET}'")
    error = await refusal(f"postgresql://dashboard_user:{SECRET}@127.0.0.1:{database.server.port}/{database.name}")
    assert error.code == "target.auth_failed"
    assert "not permitted to log in" in error.message


async def test_a_missing_database(server: EmbeddedPostgres) -> None:
    error = await refusal(server.url("no_such_database"))
    assert error.code == "target.database_missing"
    assert "no_such_database" in error.message


async def test_too_many_connections(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
        await admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    assert (await refusal(database.url)).code == "target.too_many_connections"


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_tls_is_asked_for_and_not_offered(database: Database, mode: str, tmp_path: Path) -> None:
    root = tmp_path / "root.crt"
    root.write_text(tls.CERTIFICATE)
    error = await refusal(database.url.replace("sslmode=disable", f"sslmode={mode}&sslrootcert={root}"))
    assert error.code == "target.tls_refused"
    assert "does not offer TLS" in error.message


async def test_tls_is_demanded_and_switched_off(tls_server: EmbeddedPostgres) -> None:
    error = await refusal(with_tls(tls_server, "sslmode=disable"))
    assert error.code == "target.tls_refused"
    assert "demands TLS" in error.hint


async def test_a_certificate_that_nobody_vouches_for(tls_server: EmbeddedPostgres, tmp_path: Path) -> None:
    missing = tmp_path / "missing.crt"
    error = await refusal(with_tls(tls_server, f"sslmode=verify-full&sslrootcert={missing}"))
    assert error.code == "target.tls_refused"
    error = await refusal(with_tls(tls_server, "sslmode=verify-full&sslrootcert=system", host="localhost"))
    assert error.code == "target.tls_refused"
    assert "certificate" in error.message


async def test_a_certificate_for_another_name(tls_server: EmbeddedPostgres, tmp_path: Path) -> None:
    root = tmp_path / "root.crt"
    root.write_text(tls.CERTIFICATE)
    error = await refusal(
        with_tls(tls_server, f"sslmode=verify-full&sslrootcert={root}&hostaddr=127.0.0.1", host="db.example")
    )
    assert error.code == "target.tls_refused"
    assert "db.example" in error.message


async def test_cancel_works_over_tls(tls_server: EmbeddedPostgres, tmp_path: Path) -> None:
    root = tmp_path / "root.crt"
    root.write_text(tls.CERTIFICATE)
    url = with_tls(tls_server, f"sslmode=verify-full&sslrootcert={root}", host="localhost")
    async with PsycopgTarget(SecretStr(url)).session(purpose="test") as session:
        assert await session.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
        begun = asyncio.Event()
        session.on_notice(lambda _: begun.set())
        running = asyncio.create_task(session.run("DO $$ BEGIN RAISE NOTICE 'begun'; PERFORM pg_sleep(600); END $$"))
        await begun.wait()
        await session.cancel()
        with pytest.raises(TargetError) as caught:
            await running
        assert caught.value.code == "target.cancelled"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(EMAXCONNSESSION) max clients reached in session mode", "target.too_many_connections"),
        ("MaxClientsInSessionMode: max clients reached - in Session mode", "target.too_many_connections"),
        ("Max client connections reached", "target.too_many_connections"),
        ("(ESSLREQUIRED) SSL connection is required for user: postgres", "target.tls_refused"),
        ("(ENOTFOUND) tenant/user postgres.abc not found", "target.auth_failed"),
        ("Tenant or user not found", "target.auth_failed"),
        ("(ECIRCUITBREAKER) too many authentication failures", "target.refused"),
        ("(EADDRNOTALLOWED) address not in tenant allow_list: {1, 2, 3, 4}", "target.refused"),
        ("the database system is starting up", "target.refused"),
    ],
)
async def test_what_supabases_pooler_says(text: str, code: str) -> None:
    """On the wire as the pooler sends it: an ErrorResponse instead of an authentication request."""
    fields = b"".join(kind + value.encode() + b"\0" for kind, value in ((b"S", "FATAL"), (b"C", "XX000"), (b"M", text)))
    async with listener(b"E" + (5 + len(fields)).to_bytes(4) + fields + b"\0") as port:
        error = await refusal(f"postgresql://u:{SECRET}@127.0.0.1:{port}/db?sslmode=disable")
    assert error.code == code
    assert error.message.endswith(text)
    assert error.hint


async def test_a_pooler_that_rejects_set(tls_server: EmbeddedPostgres) -> None:
    async with transaction_pooler(tls_server.port, rejects_set=True) as pooler:
        error = await refusal(f"postgresql://postgres:{SECRET}@127.0.0.1:{pooler.port}/pooled?sslmode=disable")
    assert error.code == "target.transaction_pooler"


async def test_a_pooler_in_transaction_mode(tls_server: EmbeddedPostgres) -> None:
    async with transaction_pooler(tls_server.port) as pooler:
        url = f"postgresql://postgres:{SECRET}@127.0.0.1:{pooler.port}/pooled?sslmode=disable"
        error = await refusal(url)
    assert error.code == "target.transaction_pooler"
    assert "5432" in error.hint


async def test_a_busy_pooler_in_transaction_mode(tls_server: EmbeddedPostgres) -> None:
    """Other clients take the backend of the first statement meanwhile: it is not given to the second client."""
    async with transaction_pooler(tls_server.port) as pooler:
        url = f"postgresql://postgres:{SECRET}@127.0.0.1:{pooler.port}/pooled?sslmode=disable"
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as one,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as two,
        ):
            async with one.transaction(), two.transaction():
                await one.execute("SELECT 1")
                await two.execute("SELECT 1")
            assert (await refusal(url)).code == "target.transaction_pooler"
