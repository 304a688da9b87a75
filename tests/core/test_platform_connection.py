"""What the platform knows of the right connection, put into words and into a URL."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from agent.core import platform as model
from agent.core.platform_connection import Known, Place, advice, login_url, session_pooler
from tests.support.management import REF, project

DIRECT = f"db.{REF}.supabase.co"
HOST = "aws-0-eu-central-1.pooler.supabase.com"
PROJECT = model.Project.model_validate(project())


def pooler(port: int = 6543, mode: str = "transaction", kind: str = "PRIMARY") -> model.Pooler:
    return model.Pooler(
        identifier=REF,
        database_type=kind,
        db_user=f"postgres.{REF}",
        db_host=HOST,
        db_port=port,
        db_name="postgres",
        pool_mode=mode,
    )


IPV4 = model.Addon(type="ipv4", variant=model.AddonVariant(id="ipv4_default", name="IPv4"))


@pytest.mark.parametrize(("told", "port"), [(6543, 5432), (5432, 5432), (7777, 7777)])
def test_the_session_pooler_is_on_the_poolers_host(told, port):
    found = session_pooler([pooler(kind="READ_REPLICA"), pooler(told)], REF)
    assert (found.host, found.port, found.user, found.database) == (HOST, port, f"postgres.{REF}", "postgres")
    assert session_pooler([pooler(kind="READ_REPLICA")], REF) is None
    assert session_pooler([], REF) is None


def said(known: Known, *, code: str = "target.unreachable", host: str = DIRECT) -> str:
    return advice(known, ref=REF, code=code, host=host)


def test_the_direct_host_without_the_add_on_and_where_to_go_instead():
    known = Known(project=PROJECT, poolers=(pooler(),), addons=(), bans=model.NetworkBans(banned=()))
    assert said(known) == (
        "The project has no IPv4 add-on: its direct host has an IPv6 address only. "
        f"The project's session pooler is {HOST}:5432, user postgres.{REF}."
    )
    assert "has the IPv4 add-on" in said(known.model_copy(update={"addons": (IPV4,)}))


def test_what_is_not_known_is_not_said():
    assert said(Known()) == ""
    assert "IPv4" not in said(Known(project=PROJECT))
    assert said(Known(poolers=(pooler(),)), host=HOST) == ""


def test_a_project_that_is_paused_and_an_address_that_is_banned():
    paused = PROJECT.model_copy(update={"status": "INACTIVE"})
    known = Known(project=paused, bans=model.NetworkBans(banned=tuple(f"203.0.113.{n}" for n in range(9))))
    words = said(known, code="target.auth_failed", host=HOST)
    assert f"project {REF} is INACTIVE" in words
    assert "203.0.113.4, …" in words
    assert "203.0.113.5" not in words


ROLE = model.LoginRole(role="cli_login_postgres", password=SecretStr("p@ss:w/rd"), ttl_seconds=300)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            f"postgresql://postgres:old@{DIRECT}:5432/postgres?sslmode=verify-full",
            f"postgresql://cli_login_postgres:p%40ss%3Aw%2Frd@{DIRECT}:5432/postgres?sslmode=verify-full",
        ),
        (
            f"postgresql://postgres.{REF}@{HOST}:5432/postgres",
            f"postgresql://cli_login_postgres.{REF}:p%40ss%3Aw%2Frd@{HOST}:5432/postgres",
        ),
        ("", f"postgresql://cli_login_postgres.{REF}:p%40ss%3Aw%2Frd@{HOST}:5432/postgres"),
    ],
)
def test_a_temporary_role_takes_the_place_of_user_and_password(url, expected):
    place = Place(host=HOST, port=5432, database="postgres", user=f"postgres.{REF}")
    assert login_url(ROLE, url=url, place=place, ref=REF) == expected


def test_without_an_address_there_is_no_url():
    with pytest.raises(ValueError, match="known"):
        login_url(ROLE, url="", place=None, ref=REF)
