"""Deploys whose runbook asks the project's own API: the real supabase package, stand-ins for the services, real RLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.conftest import Database
from tests.simulator import Platform, simulating
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations
from tests.support.hosted import runbook
from tests.support.oracle import psql, rows

PASSWORD = "correct horse battery"
BASE = """
create table public.notes (id int primary key, owner uuid, word text);
alter table public.notes enable row level security;
create policy own on public.notes for select to authenticated using (owner = auth.uid());
"""
FILES = {
    "20260101000000_tracks.sql": """
create table public.tracks (id int primary key, owner uuid not null, title text, is_public boolean not null);
alter table public.tracks enable row level security;
create policy "public" on public.tracks for select to anon, authenticated using (is_public);
create policy "own" on public.tracks for select to authenticated using (owner = auth.uid());
insert into public.tracks select n, ('00000000-0000-0000-0000-00000000000' || n % 2)::uuid, 'track ' || n, n = 1
  from generate_series(1, 6) as n;
create function public.how_many(since int) returns bigint language sql security definer set search_path = ''
  as 'select count(*) from public.tracks where id >= since';
"""
}
CHECKS = """
checks:
  - id: strangers
    api:
      knows: [tracks, tracks.title]
      reads: {from: tracks, where: {is_public: true}, columns: "id,title", rows: 1, every: {id: 1}}
      refused:
        - {from: tracks, where: {is_public: false}}
        - {from: notes}
        - {into: tracks, row: {id: 99, owner: 00000000-0000-0000-0000-000000000009}}
      calls:
        - {function: how_many, args: {since: 3}, expect: 4}
  - id: own-rows
    api:
      as: {email: {env: TEST_EMAIL}, password: {file: PASSWORD_FILE}}
      reads: {from: notes, every: {owner: $user}, rows: 2}
  - id: server
    api:
      as: service
      reads: {from: tracks, rows: 6}
      files:
        - {bucket: covers, path: a/b.txt, min_bytes: 5}
        - {bucket: covers, path: a/b.txt, by: signed_url}
        - {bucket: covers, path: a, by: list}
"""


@dataclass
class World:
    database: Database
    folder: Path
    platform: Platform
    user: str = ""

    def settings(self, **api: Any) -> Any:
        given = {"url": self.platform.api_url, "anon_key": self.platform.key(), **api}
        return make_settings(self.database.url, self.folder, api=given)

    def runbook(self, text: str) -> None:
        runbook(self.folder, text.replace("PASSWORD_FILE", str(self.folder / "password")))

    def tables(self) -> list[str]:
        found = rows(self.database.url, "select tablename from pg_tables where schemaname = 'public' order by 1")
        return [row[0] for row in found]


@pytest.fixture
def world(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    psql(database.url, BASE)
    write_migrations(tmp_path, FILES)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("TEST_EMAIL", "tester@example.com")
    with simulating(database.server, database.name) as platform:
        platform.start_api()
        one = World(database, tmp_path, platform)
        one.user = platform.add_user("tester@example.com", PASSWORD)
        psql(
            database.url,
            f"insert into notes values (1, '{one.user}', 'a'), (2, '{one.user}', 'b'), (3, gen_random_uuid(), 'c')",
        )
        key = {"apikey": platform.key("service_role"), "authorization": f"Bearer {platform.key('service_role')}"}
        with httpx.Client(base_url=platform.api_url, headers=key) as service:
            service.post("/storage/v1/bucket", json={"name": "covers"})
            service.post("/storage/v1/object/covers/a/b.txt", files={"file": ("b.txt", b"hello", "text/plain")})
        yield one


def told(outcome: Outcome) -> dict[str, tuple[str, str]]:
    """Verdict and what was observed, by the check's id."""
    assert outcome.deploy.failure is None or outcome.deploy.failure.cause == "check", outcome.why
    return {one.data["id"]: (one.data["verdict"], one.data["observed"]) for one in outcome.of("check")}


def everything(outcome: Outcome) -> str:
    return json.dumps([one.model_dump(mode="json") for one in outcome.events])


@pytest.mark.parametrize("strategy", ["atomic", "per_migration"])
async def test_the_api_knows_the_new_schema_and_keeps_to_its_policies(world: World, strategy: str) -> None:
    world.runbook(CHECKS)
    outcome = await deploy(world.settings(service_key=world.platform.key("service_role")), strategy)
    assert outcome.state == "succeeded", told(outcome)
    assert told(outcome) == dict.fromkeys(("strangers", "own-rows", "server"), ("passed", "it is so"))
    ended = [one.query for one in world.platform.api_calls if one.path == "/auth/v1/logout"]
    assert ended == [{"scope": "local"}], "the session that the check began, and no other"
    assert PASSWORD not in everything(outcome)
    assert "eyJ" not in everything(outcome)
    assert rows(world.database.url, "select count(*) from tracks where id = 99") == [(0,)]


async def test_what_the_policies_let_through_undoes_the_deploy_and_what_was_let_in_is_deleted(world: World) -> None:
    open_ = "alter table public.notes disable row level security;\ngrant all on public.notes to anon;"
    write_migrations(world.folder, {"20260102000000_open.sql": open_})
    world.runbook(
        """
checks:
  - title: Strangers see and write no note
    api:
      refused: [{from: notes}, {into: notes, row: {id: 77, word: mine}}]
"""
    )
    outcome = await deploy(world.settings())
    assert outcome.state == "restored"
    ((verdict, observed),) = told(outcome).values()
    assert verdict == "failed"
    assert "sees no row of notes: sees one" in observed
    assert "cannot insert into notes: the row was let in; it is deleted again" in observed
    assert rows(world.database.url, "select id from notes order by id") == [(1,), (2,), (3,)]
    assert world.tables() == ["notes"]


BAD = [
    ("refused: {into: notes, row: {id: 1}}", "errored", "such a row is there already; give it a value that no row has"),
    ("refused: {into: notes, row: {id: 1, word: z}}", "errored", "not for want of rights: duplicate key value"),
    ("refused: {into: notes, row: {nothing: 1}}", "errored", "stopped, but not for want of rights"),
    ("refused: {from: trackz}", "errored", "Could not find the table"),
    ("reads: {from: tracks, rows: 2}", "failed", "1 rows"),
    ("reads: {from: tracks, every: {is_public: false}}", "failed", "a row with is_public = true"),
    ("reads: {from: notes}", "failed", "0 rows"),
    ("reads: {from: tracks, where: {nothing: 1}}", "failed", "(42703)"),
    ("knows: tracks.nothing", "failed", "(42703)"),
    ("calls: {function: how_many, args: {since: 1}, expect: 7}", "failed", "6"),
    ("calls: {function: how_many, args: {most: 1}, expect: 7}", "failed", "Could not find the function"),
    ("files: {bucket: covers, path: a/b.txt}", "failed", "Object not found"),
    ("files: {bucket: covers, path: ../b.txt}", "failed", "a path in Storage has no part that is . or .."),
    ("as: service, files: {bucket: covers, path: a/b.txt, min_bytes: 6}", "failed", "it has 5 bytes"),
    ("as: service, files: {bucket: covers, path: nothing, by: list}", "failed", "the folder is empty"),
    ("schema: private, knows: tracks", "failed", "(PGRST106)"),
]


async def test_what_is_not_so_is_told_and_what_proves_nothing_is_errored(world: World) -> None:
    allowed = "create policy ins on public.notes for insert with check (true);"
    write_migrations(world.folder, {"20260102000000_open.sql": allowed})
    checks = [
        f"- {{id: c{n}, severity: warning, api: {{within: 100ms, {spec}}}}}" for n, (spec, _, _) in enumerate(BAD)
    ]
    world.runbook("checks:\n" + "\n".join(checks) + "\n")
    outcome = await deploy(world.settings(service_key=world.platform.key("service_role")))
    assert outcome.state == "succeeded"
    for number, (spec, verdict, observed) in enumerate(BAD):
        said = told(outcome)[f"c{number}"]
        assert (said[0], observed in said[1]) == (verdict, True), (spec, said)
    assert rows(world.database.url, "select count(*) from notes") == [(3,)]


async def test_an_api_that_does_not_learn_of_the_schema_in_time_fails(world: World) -> None:
    assert world.platform.project.api is not None
    world.platform.project.api.rest.deaf = True
    world.runbook("checks: [{id: x, api: {knows: tracks, within: 500ms}}]\n")
    outcome = await deploy(world.settings())
    assert outcome.state == "restored"
    assert told(outcome)["x"][0] == "failed"
    assert "(PGRST205); asked for 500 ms" in told(outcome)["x"][1]


async def test_a_user_who_cannot_sign_in_is_no_pass_and_no_secret_is_told(world: World) -> None:
    (world.folder / "password").write_text("entirely wrong")
    world.runbook(
        "checks: [{id: x, severity: warning,"
        " api: {as: {email: {env: TEST_EMAIL}, password: {file: PASSWORD_FILE}}, reads: {from: notes}}}]\n"
    )
    outcome = await deploy(world.settings())
    assert told(outcome)["x"] == ("errored", "the test user cannot sign in: Invalid login credentials")
    assert "entirely wrong" not in everything(outcome)


async def test_keys_come_from_the_platform_where_the_token_may_read_them(world: World) -> None:
    world.runbook("checks: [{id: x, api: {as: service, reads: {from: tracks, rows: 6}}}]\n")
    api = {"url": world.platform.api_url}
    access = {"base_url": world.platform.url, "ref": world.platform.ref, "token": SecretStr(world.platform.token)}
    outcome = await deploy(make_settings(world.database.url, world.folder, api=api, platform=access))
    assert outcome.state == "succeeded", outcome.events[-1]
    assert told(outcome)["x"] == ("passed", "it is so")
    assert world.platform.key("service_role") not in everything(outcome)


async def test_what_an_api_check_lacks_is_found_before_anything_is_touched(world: World) -> None:
    world.runbook(CHECKS)
    (world.folder / "password").unlink()
    outcome = await deploy(world.settings())
    assert outcome.state == "aborted"
    told_ = {one.data["code"]: one.message for one in outcome.of("finding") if one.data["code"].startswith("api.")}
    assert told_.keys() == {"api.no_secret", "api.not_set_up"}
    assert "the service key" in told_["api.not_set_up"]
    assert world.tables() == ["notes"]


async def test_a_session_that_cannot_be_ended_is_told_beside_the_verdict(world: World) -> None:
    world.platform.fault("auth", status=500, after=1, times=None)
    world.runbook(
        "checks: [{id: x, api: {as: {email: {env: TEST_EMAIL}, password: {file: PASSWORD_FILE}},"
        " reads: {from: notes, rows: 2}}}]\n"
    )
    outcome = await deploy(world.settings())
    assert outcome.state == "succeeded"
    assert told(outcome)["x"][0] == "passed"
    assert "the test user's session could not be ended" in told(outcome)["x"][1]


async def test_an_api_that_is_down_is_errored(world: World) -> None:
    world.runbook("checks: [{id: x, severity: warning, api: {knows: tracks}}]\n")
    outcome = await deploy(world.settings(url="http://127.0.0.1:9"))
    assert told(outcome)["x"] == (
        "errored",
        "the project's API at http://127.0.0.1:9 does not answer: ConnectError",
    )
