"""TLS to the database: verified unless its URL says otherwise; against a real server, right and wrong certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.bootstrap import connectors, open_deps
from agent.deploy import service
from agent.edges.embedded import EmbeddedPostgres
from agent.errors import TargetError
from agent.settings import Settings
from agent.settings.database_tls import SUPABASE_ROOTS, protected, what_is_missing
from tests.support import tls
from tests.support.aside import run_aside
from tests.support.deploying import deploy, make_settings, write_migrations

DATABASE = "over_tls"


@pytest.fixture(scope="module")
def tls_server() -> Iterator[EmbeddedPostgres]:
    """Supabase-like, offers TLS and does not ask for it."""
    with tls.tls_postgres("host all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n") as started:
        run_aside(started.create_database(DATABASE))
        run_aside(started.bootstrap_supabase(DATABASE))
        yield started


def far(server: EmbeddedPostgres, name: str = tls.NAME, more: str = "") -> str:
    """The server by a name that is not this machine's."""
    url = server.url(DATABASE).replace("sslmode=disable", "hostaddr=127.0.0.1" + more)
    return url.replace("@127.0.0.1:", f"@{name}:")


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "authority.crt"
    path.write_text(tls.CERTIFICATE)
    return path


async def refusal(settings: Settings) -> TargetError:
    target, _ = connectors(settings, settings.require_database_url)
    with pytest.raises(TargetError) as caught:
        await target.connect(purpose="test")
    assert caught.value.code == "target.tls_refused"
    return caught.value


async def test_a_deploy_over_a_verified_connection(tls_server, authority: Path, tmp_path: Path) -> None:
    """Sessions and client programs alike; the migration looks at its own connection."""
    write_migrations(
        tmp_path,
        {"001_a.sql": "create table public.a as select ssl from pg_stat_ssl where pid = pg_backend_pid() and ssl;"},
    )
    settings = make_settings(far(tls_server), tmp_path, database_ca_file=authority)
    outcome = await deploy(settings)
    assert outcome.state == "succeeded", outcome.why
    assert "preflight.tls_unverified" not in {event.data.get("code") for event in outcome.of("finding")}
    target, _ = connectors(settings, settings.require_database_url)
    async with target.session(purpose="test") as session:
        assert await session.value("select count(*) from public.a") == 1


async def test_another_authority(tls_server, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text(tls.OTHER_CERTIFICATE)
    error = await refusal(make_settings(far(tls_server), tmp_path, database_ca_file=other))
    assert "certificate" in error.message
    assert "database_ca_file" in error.hint


async def test_a_certificate_for_another_name(tls_server, authority: Path, tmp_path: Path) -> None:
    error = await refusal(make_settings(far(tls_server, "db.elsewhere.test"), tmp_path, database_ca_file=authority))
    assert "db.elsewhere.test" in error.message


async def test_supabases_own_hosts_need_no_file_and_trust_nobody_else(tls_server, tmp_path: Path) -> None:
    name = "db.abcdefghijklmnopqrst.supabase.co"
    assert "certificate" in (await refusal(make_settings(far(tls_server, name), tmp_path))).message


async def test_a_server_that_offers_no_tls_is_not_talked_to(database, authority: Path, tmp_path: Path) -> None:
    url = database.url.replace("sslmode=disable", "hostaddr=127.0.0.1").replace("@127.0.0.1:", f"@{tls.NAME}:")
    error = await refusal(make_settings(url, tmp_path, database_ca_file=authority))
    assert "does not offer TLS" in error.message


async def test_less_needs_the_urls_word_and_is_told(tls_server, tmp_path: Path) -> None:
    write_migrations(tmp_path, {})
    settings = make_settings(far(tls_server, more="&sslmode=require"), tmp_path)
    async with open_deps(settings) as deps:
        [found] = [one for one in await service.doctor(deps, ()) if one.code == "preflight.tls_unverified"]
    assert found.severity == "warning"
    assert "can pass for the server" in found.message


@pytest.mark.parametrize(
    "place",
    ["127.0.0.1:5432", "localhost", "[::1]:5432", "%2Frun%2Fpostgresql", "", "127.0.0.1,[::1]:5433", "127.8.8.8"],
)
def test_this_machine_is_trusted(place: str) -> None:
    url = f"postgresql://u:p@{place}/postgres?connect_timeout=3"
    assert protected(url) == url
    assert what_is_missing(url + "&sslmode=disable") == ""


@pytest.mark.parametrize(
    ("url", "added"),
    [
        ("postgresql://u:p@db.ref.supabase.co/postgres", f"?sslmode=verify-full&sslrootcert={SUPABASE_ROOTS}"),
        (
            "postgresql://u.ref:p@aws-0-eu-west-1.pooler.supabase.com:5432/postgres?application_name=x",
            f"&sslmode=verify-full&sslrootcert={SUPABASE_ROOTS}",
        ),
        ("postgresql://u:p@10.0.0.7/app?sslmode=disable", ""),
        ("postgresql://u:p@10.0.0.7/app?sslmode=require", ""),
        ("postgresql://u:p@db.x/app?sslrootcert=/my/ca", "&sslmode=verify-full"),
        ("postgresql://u:p@/app?host=db.x&sslrootcert=/my/ca", "&sslmode=verify-full"),
        ("postgresql://u:p@db.supabase.co.evil.test/app?sslrootcert=system", "&sslmode=verify-full"),
    ],
)
def test_what_a_url_is_given(url: str, added: str) -> None:
    assert protected(url).replace("%2F", "/") == url + added


def test_a_public_authority_is_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    url = "postgresql://u:p@supabase.co.evil.test/app"
    assert protected(url).replace("%2F", "/") == f"{url}?sslmode=verify-full&sslrootcert={authority}"
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text(tls.CERTIFICATE)
    assert protected(url) == f"{url}?sslmode=verify-full"  # libpq takes it


def test_the_store_on_a_network_too(tmp_path: Path) -> None:
    url = SecretStr("postgresql://u:p@db.ref.supabase.co/agent")
    settings = make_settings("postgresql://u:p@127.0.0.1/x", tmp_path, store_url=url)
    assert "sslmode=verify-full" in settings.resolved_store_url.get_secret_value()
