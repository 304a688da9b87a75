"""Connections with the platform's help: what an error says, and roles that come and go."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest
import respx
from pydantic import SecretStr

from agent.deploy.connection import HelpedTarget, Logins, TemporaryLogin
from agent.edges.target import PsycopgTarget
from agent.errors import PlatformError, TargetError
from tests.support.clock import START, FakeClock
from tests.support.management import BASE, REF, Wire, project

P = f"{BASE}/v1/projects/{REF}"
ROLES = f"{P}/cli/login-role"
POOLER = {
    "identifier": REF,
    "database_type": "PRIMARY",
    "is_using_scram_auth": True,
    "db_user": f"postgres.{REF}",
    "db_host": "aws-0-eu-central-1.pooler.supabase.com",
    "db_port": 6543,
    "db_name": "postgres",
    "connection_string": "postgresql://…",
    "connectionString": "postgresql://…",
    "default_pool_size": 15,
    "max_client_conn": 200,
    "pool_mode": "transaction",
}


@pytest.fixture
def web():
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{P}/billing/addons").respond(json={"selected_addons": [], "available_addons": []})
        router.post(f"{P}/network-bans/retrieve").respond(201, json={"banned_ipv4_addresses": []})
        router.get(f"{P}/config/database/pooler").respond(json=[POOLER])
        yield router


@pytest.fixture
def closed():
    """A port on loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_an_error_names_the_session_pooler_and_asks_once_a_minute(web, closed):
    asked = web.get(P).respond(json=project(status="INACTIVE"))
    clock = FakeClock()
    target = HelpedTarget(
        PsycopgTarget(SecretStr(f"postgresql://postgres:pass-word@127.0.0.1:{closed}/postgres")), Wire().api, clock
    )
    for _ in range(2):
        with pytest.raises(TargetError) as raised:
            await target.connect(purpose="test")
        assert raised.value.code == "target.unreachable"
        assert f"project {REF} is INACTIVE" in raised.value.hint
        assert "session pooler is aws-0-eu-central-1.pooler.supabase.com:5432" in raised.value.hint
        assert "pass-word" not in str(raised.value.as_dict())
    assert asked.call_count == 1
    clock.advance(61)
    with pytest.raises(TargetError):
        await target.connect(purpose="test")
    assert asked.call_count == 2


async def test_without_the_api_the_error_is_what_it_was(web, closed):
    web.route(url__startswith=BASE).respond(500)
    url = SecretStr(f"postgresql://postgres@127.0.0.1:{closed}/postgres")
    with pytest.raises(TargetError) as plain:
        await PsycopgTarget(url).connect(purpose="test")
    web.reset()
    web.routes.clear()
    web.route(url__startswith=BASE).respond(401)
    with pytest.raises(TargetError) as helped:
        await HelpedTarget(PsycopgTarget(url), Wire().api, FakeClock()).connect(purpose="test")
    assert helped.value.as_dict() == plain.value.as_dict()


def login(clock: FakeClock, **more) -> tuple[TemporaryLogin, list[str], list[PlatformError]]:
    learned: list[str] = []
    told: list[PlatformError] = []
    given = {"url": None, "fallback": False, "learn": learned.extend, "tell": told.append, "logins": Logins()}
    return TemporaryLogin(Wire().api, clock, **(given | more)), learned, told


async def test_a_role_is_used_with_the_session_pooler_and_renewed_at_half_its_time(web):
    roles = web.post(ROLES)
    roles.respond(201, json={"role": "cli_login_postgres", "password": "first-password", "ttl_seconds": 300})
    clock = FakeClock()
    temporary, learned, told = login(clock)
    async with temporary:
        assert temporary.dsn().get_secret_value() == (
            f"postgresql://cli_login_postgres.{REF}:first-password@aws-0-eu-central-1.pooler.supabase.com:5432/postgres"
        )
        roles.respond(201, json={"role": "cli_login_postgres", "password": "second-password", "ttl_seconds": 300})
        await clock.somebody_sleeps_until(START + timedelta(seconds=150))
        clock.advance(150)
        await clock.somebody_sleeps_until(START + timedelta(seconds=300))
        assert "second-password" in temporary.dsn().get_secret_value()
    assert set(learned) == {"first-password", "second-password"}
    assert told == []


async def test_deploys_of_one_process_share_a_role(web):
    asked = web.post(ROLES).respond(201, json={"role": "r", "password": "some-password", "ttl_seconds": 300})
    clock, logins = FakeClock(), Logins()
    login_of = login(clock, logins=logins)[0]
    async with login_of:
        first = asked.call_count
        assert logins.get(REF).ends_at - clock.now() <= timedelta(seconds=300)
        async with login(clock, logins=logins)[0] as other:
            assert other.dsn() == login_of.dsn()
    assert first >= 1


async def test_without_a_role_and_without_a_password_there_is_no_connection(web):
    web.post(ROLES).respond(403, json={"message": "no", "missing_permissions": ["database_write"]})
    with pytest.raises(PlatformError) as raised:
        async with login(FakeClock())[0]:
            pass
    assert raised.value.message == "the token lacks database_write, needed for a temporary login role"


async def test_without_a_role_the_password_in_the_url_counts_and_that_is_told(web):
    web.post(ROLES).respond(403)
    url = SecretStr("postgresql://postgres:own-password@127.0.0.1:1/postgres")
    temporary, _, told = login(FakeClock(), url=url, fallback=True)
    async with temporary:
        assert temporary.dsn() is url
    assert {error.code for error in told} == {"platform.forbidden"}


async def test_without_a_pooler_nobody_knows_where_to_connect(web):
    web.get(f"{P}/config/database/pooler").respond(json=[])
    with pytest.raises(PlatformError) as raised:
        async with login(FakeClock())[0]:
            pass
    assert raised.value.code == "platform.no_pooler"
