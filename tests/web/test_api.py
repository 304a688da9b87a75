"""The HTTP API on the real store: what each endpoint answers, to whom, and in which shape it refuses."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi.openapi.models import OpenAPI
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from agent.bootstrap import open_deps
from agent.core import access
from agent.core.access import Key, Scope, digest
from agent.core.models import BackupRecord, BackupState, DeployRequest, EventKind, Failure, NewEvent, Proposal, Strategy
from agent.core.states import Move, State
from agent.deploy.deps import Deps
from agent.deploy.lookout import Lookout
from agent.deploy.supervisor import STOPPING, Supervisor
from agent.errors import StoreError
from agent.serve import Serving
from agent.settings import HttpSettings
from agent.web import access as access_of_web
from agent.web.app import create_app
from tests.support.deploying import make_settings, write_migrations

TOKEN = "correct-horse-battery-staple"
PASSWORD = "pg-password-7f3a"
WEBHOOK = "https://hooks.example.test/services/T0/B0/webhook-secret"
NOWHERE = f"postgresql://postgres:{PASSWORD}@127.0.0.1:1/nowhere"
START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}

OPEN = {("GET", "/livez"), ("GET", "/readyz")}
READING = {
    ("GET", "/healthz"),
    ("GET", "/status"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/deploys"),
    ("GET", "/api/v1/deploys/{deploy_id}"),
    ("GET", "/api/v1/deploys/{deploy_id}/events"),
    ("GET", "/api/v1/backups"),
}
OPERATING = {
    ("POST", "/api/v1/plan"),
    ("POST", "/api/v1/deploys"),
    ("POST", "/api/v1/deploys/{deploy_id}/cancel"),
    ("POST", "/api/v1/deploys/{deploy_id}/approve"),
    ("POST", "/api/v1/backups"),
}


class Idle:
    """An engine that is never asked to run anything."""

    async def start(self, deploy_id: str, *, attempt: int = 0) -> None:
        raise AssertionError

    async def reap(self, deploy_ids: Collection[str]) -> list[str]:
        return []

    async def unfinished(self) -> set[str]:
        return set()

    async def attempts(self, deploy_id: str) -> int:
        return 0

    async def ended(self, deploy_id: str) -> None:
        raise AssertionError


class Api:
    """The application with its parts in reach."""

    def __init__(self, folder: Path, deps: Deps, *, token: str | None = TOKEN) -> None:
        self.folder = folder
        self.deps = deps
        self.store = deps.store
        self.lookout = Lookout(deps, DeployRequest(project="test"), lambda _message, _fields: None)
        settings = make_settings(NOWHERE, folder)
        self.serving = Serving(settings, deps, self.lookout)
        default = DeployRequest(project="test", strategy=Strategy.PER_MIGRATION, requested_by="api")
        self.keys = HttpSettings(token=token and SecretStr(token)).keys
        self.app = create_app(self.serving, default=default, keys=lambda: self.keys)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=AUTHORIZED)

    def begin(self) -> None:
        async def scratch() -> None:
            raise AssertionError

        self.serving.begin(Supervisor(self.deps, Idle(), lambda _message, _fields: None, scratch=scratch))

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def a_deploy(self, deploy_id: str, *, project: str = "test", minute: int = 0) -> None:
        """Queued, refused: a deploy that has ended."""
        at = START + timedelta(minutes=minute)
        await self.store.create(deploy_id, DeployRequest(project=project), now=at)
        await self.store.transition(deploy_id, expected=State.QUEUED, move=Move.START, now=at, message="started")
        await self.store.transition(
            deploy_id,
            expected=State.PREFLIGHT,
            move=Move.FAIL,
            now=at,
            message="refused",
            failure=Failure(cause="preflight", code="plan.remote_only", message="version 7 has no file"),
        )


@pytest.fixture
async def deps(tmp_path: Path) -> AsyncIterator[Deps]:
    settings = make_settings(
        NOWHERE, tmp_path, notify=[{"name": "chat", "kind": "slack", "url": WEBHOOK}], connect_timeout_s=1
    )
    async with open_deps(settings) as ports:
        yield ports


@pytest.fixture
async def api(tmp_path: Path, deps: Deps) -> AsyncIterator[Api]:
    made = Api(tmp_path, deps)
    async with made.http:
        yield made


@pytest.fixture
async def real(tmp_path: Path, database) -> AsyncIterator[Api]:
    """With a database that answers."""
    write_migrations(tmp_path, {"001_tags.sql": "create table public.tags (id int);"})
    async with open_deps(make_settings(database.url, tmp_path)) as ports:
        made = Api(tmp_path, ports)
        async with made.http:
            yield made


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Every error has this shape."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    body = answer.json()
    assert set(body) == {"code", "message", "hint", "where"}
    assert body["code"] == code
    assert body["message"]
    return body


def endpoints(api: Api) -> set[tuple[str, str]]:
    document = api.app.openapi()
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def request(endpoint: tuple[str, str]) -> tuple[str, str]:
    return endpoint[0], endpoint[1].replace("{deploy_id}", "20260301-020000-aaaa")


# --- who may ---


def test_every_endpoint_is_in_one_of_the_three_lists(api: Api) -> None:
    assert endpoints(api) == OPEN | READING | OPERATING


@pytest.mark.parametrize("endpoint", sorted(READING | OPERATING))
async def test_without_the_right_token_nothing_is_answered(api: Api, endpoint: tuple[str, str]) -> None:
    method, path = request(endpoint)
    wrong = {
        "": "auth.token_missing",
        TOKEN: "auth.token_missing",
        f"Basic {TOKEN}": "auth.token_missing",
        "Bearer": "auth.token_missing",
        f"Bearer {TOKEN[:-1]}": "auth.token_refused",
        f"Bearer {TOKEN}x": "auth.token_refused",
        "Bearer \u00e4\u00f6\u00fc": "auth.token_refused",
    }
    for header, code in wrong.items():
        answer = await api.http.request(method, path, headers={"authorization": header.encode("latin-1")})
        problem(answer, 401, code)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text
    assert await api.store.deploys() == []


async def test_the_scheme_is_written_as_one_likes(api: Api) -> None:
    answer = await api.http.get("/status", headers={"authorization": f"bearer {TOKEN}"})
    assert answer.status_code == 200


async def test_a_token_beyond_ascii_is_compared_as_bytes(tmp_path: Path, deps: Deps) -> None:
    api = Api(tmp_path, deps, token="schl\u00fcssel-zum-gl\u00fcck")
    async with api.http:
        right = {"authorization": "Bearer schl\u00fcssel-zum-gl\u00fcck".encode()}
        assert (await api.http.get("/status", headers=right)).status_code == 200
        problem(await api.http.get("/status"), 401, "auth.token_refused")


async def test_tokens_are_compared_in_constant_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of one length, and each of them, whichever fits."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, right: bytes) -> bool:
        compared.append((given, right))
        return hmac.compare_digest(given, right)

    api.keys = (*api.keys, Key(name="ci", scope=Scope.READ, digest=digest(b"of ci")))
    monkeypatch.setattr(access, "hmac", SimpleNamespace(compare_digest=compare))
    assert (await api.http.get("/status")).status_code == 200
    assert compared == [(digest(TOKEN.encode()), key.digest) for key in api.keys]


async def test_without_a_token_one_may_read_and_not_act(tmp_path: Path, deps: Deps) -> None:
    api = Api(tmp_path, deps, token=None)
    await api.a_deploy("20260301-020000-aaaa")
    async with api.http:
        for endpoint in sorted(READING - {("GET", "/healthz")}):
            assert (await api.http.request(*request(endpoint))).status_code == 200, endpoint
        for endpoint in sorted(OPERATING):
            problem(await api.http.request(*request(endpoint)), 401, "auth.no_token_set")


@pytest.mark.parametrize("host", ["attacker.example:8080", "attacker.example", "127.0.0.1.attacker.example:80", ""])
async def test_without_a_token_no_name_but_this_machines(tmp_path: Path, deps: Deps, host: str) -> None:
    """A page that makes its own name lead to 127.0.0.1 is in the browser of somebody who may reach the port."""
    api = Api(tmp_path, deps, token=None)
    async with api.http:
        problem(await api.http.get("/status", headers={"host": host}), 403, "auth.host")
        for own in ("127.0.0.1:8080", "[::1]:8080", "localhost", "[::1]"):
            assert (await api.http.get("/status", headers={"host": own})).status_code == 200
        assert (await api.http.get("/livez", headers={"host": host})).status_code == 200


async def test_scopes(api: Api) -> None:
    look, act = "sda_may-look", "sda_may-act"
    api.keys = tuple(
        Key(name=name, scope=scope, digest=digest(token.encode()))
        for name, scope, token in (("grafana", Scope.READ, look), ("ci", Scope.OPERATE, act))
    )
    for endpoint in sorted(READING | OPERATING):
        answer = await api.http.request(*request(endpoint), headers={"authorization": f"Bearer {look}"})
        if endpoint in OPERATING:
            problem(answer, 403, "auth.scope")
            assert "grafana" in answer.text
        else:
            assert answer.status_code != 403
    assert await api.store.deploys() == []
    answer = await api.http.post("/api/v1/deploys", headers={"authorization": f"Bearer {act}"})
    assert (answer.status_code, answer.json()["request"]["requested_by"]) == (202, "ci (api)")
    problem(await api.http.get("/status"), 401, "auth.token_refused")  # http.token is none of them


async def test_behind_the_gate_is_everything_but_the_probes(api: Api) -> None:
    nobody = {"authorization": ""}
    for path in ("/", "/api/v1/openapi.json", "/no-such", "/livez/", "//livez", "/livez%2f..%2fstatus", "/LIVEZ"):
        problem(await api.http.get(f"http://localhost{path}", headers=nobody), 401, "auth.token_missing")
    problem(await api.http.get("/no-such"), 404, "http.404")
    assert (await api.http.get("/api/v1/openapi.json")).status_code == 200
    for path in sorted(access_of_web.OPEN):
        assert (await api.http.get(path, headers=nobody)).status_code in (200, 503)


async def test_what_is_refused_is_logged_without_the_token_and_not_for_ever(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {"authorization": "Bearer wrong-token-of-somebody"}
    for _ in range(20):
        problem(await api.http.get("/status?x=wrong-token-of-somebody", headers=wrong), 401, "auth.token_refused")
    for _ in range(5):
        answer = await api.http.get("/status", headers=wrong)
        problem(answer, 429, "auth.too_often")
        assert answer.headers["retry-after"] == "60"
    assert (await api.http.get("/status")).status_code == 200, "the right token is not shut out"
    told = [record for record in caplog.records if record.name == "agent.web"]
    assert [record.getMessage() for record in told] == ["request refused"] * 20
    assert vars(told[0])["path"] == "/status"
    assert vars(told[0])["code"] == "auth.token_refused"
    assert "somebody" not in str([vars(record) for record in told])


async def test_after_a_minute_what_was_not_told_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def behind(*_: object) -> None:
        raise AssertionError

    now = 100.0
    gate = access_of_web.Gate(behind, keys=lambda: [Key(name="", scope=Scope.READ, digest=b"")], seconds=lambda: now)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://agent") as http:
        for _ in range(23):
            answer = await http.get("/status")
        assert answer.status_code == 429
        now += 60
        assert (await http.get("/status")).status_code == 401
    assert [vars(one)["requests"] for one in caplog.records if one.getMessage() == "requests refused"] == [23]


async def test_a_body_that_does_not_come(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.web.app._MAX_BODY_S", 0.01)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/plan", "headers": headers, "query_string": b""}
    await api.app({**scope, "http_version": "1.1", "scheme": "http"}, asyncio.Event().wait, send)
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "http.408"


@pytest.mark.parametrize("path", ["/livez", "/status", "/metrics", "/no-such", "/api/v1/openapi.json"])
async def test_browsers_are_told_to_do_nothing_with_it(api: Api, path: str) -> None:
    answer = await api.http.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


# --- health ---


class Broken:
    """A backend, and a store, that fail whatever they are asked."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error or RuntimeError("the password is hunter2")

    def __getattr__(self, name: str) -> Any:
        async def fail(*_: object, **__: object) -> None:
            raise self._error

        return fail


async def test_livez_asks_nobody_and_a_bug_is_an_answer_too() -> None:
    app = create_app(Broken(), default=DeployRequest(project="test"), keys=lambda: ())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as http:
        assert (await http.get("/livez")).json() == {"alive": True}
        answer = await http.get("/readyz")
        problem(answer, 500, "agent.bug")
        assert "hunter2" not in answer.text


async def missing(api: Api) -> dict[str, str]:
    answer = await api.http.get("/readyz", headers={"authorization": ""})
    body = answer.json()
    assert answer.status_code == (200 if body["ready"] else 503)
    return {one["name"]: one["message"] for one in body["missing"]}


async def test_readyz_says_what_is_missing_until_nothing_is(real: Api) -> None:
    assert await missing(real) == {"engine": "starting", "target": "not looked at yet"}
    await real.lookout.look()
    assert await missing(real) == {"engine": "starting"}
    real.begin()
    assert await missing(real) == {"engine": "starting"}, "it has not answered yet"
    await real.serving.adopt()
    assert await missing(real) == {}
    assert (await real.get("/healthz"))["ok"]
    real.serving.end()
    assert await missing(real) == {"engine": "stopping"}


async def test_readyz_when_the_database_is_away(api: Api) -> None:
    await api.lookout.look()
    found = await missing(api)
    assert "127.0.0.1:1" in found["target"]
    assert PASSWORD not in found["target"]
    assert api.lookout.pending is None


async def test_readyz_when_the_engine_falls_silent(real: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await real.lookout.look()
    real.begin()
    await real.serving.adopt()
    monkeypatch.setattr("agent.serve._SILENT_AFTER", timedelta(seconds=-1))
    assert list(await missing(real)) == ["engine"]


async def test_readyz_when_the_store_breaks_or_hangs(
    tmp_path: Path, deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Api(tmp_path, replace(deps, store=Broken(StoreError("the store is read-only", code="store.read_only"))))
    async with broken.http:
        assert (await missing(broken))["store"] == "the store is read-only"
        problem(await broken.http.get("/status"), 503, "store.read_only")
        problem(await broken.http.get("/metrics"), 503, "store.read_only")

    class Hanging(Broken):
        def __getattr__(self, name: str) -> Any:
            return lambda **_: asyncio.Event().wait()

    monkeypatch.setattr("agent.serve._STORE_TIMEOUT_S", 0.01)
    hanging = Api(tmp_path, replace(deps, store=Hanging()))
    async with hanging.http:
        assert "has not answered" in (await missing(hanging))["store"]


async def test_a_plan_that_cannot_be_made_is_unhealthy_and_yet_ready(real: Api) -> None:
    (real.folder / "deploy.yaml").write_text("titel: x")
    real.begin()
    await real.serving.adopt()
    await real.lookout.look()
    assert await missing(real) == {}
    answer = await real.http.get("/healthz")
    assert answer.status_code == 503
    [bad] = [one for one in answer.json()["conditions"] if not one["ok"]]
    assert bad["name"] == "plan"
    assert (await real.get("/status"))["pending"] is None


async def test_status_is_the_agent_at_one_look(real: Api) -> None:
    await real.a_deploy("20260301-020000-aaaa")
    await real.store.create("20260301-030000-bbbb", DeployRequest(project="test"), now=START + timedelta(hours=1))
    await real.store.put_backup(
        BackupRecord(
            id="b1", project="test", created_at=START, location="file:///b1", state=BackupState.PUBLISHED, bytes=7
        )
    )
    await real.lookout.look()
    status = await real.get("/status")
    assert (status["running"]["id"], status["last"]["id"]) == ("20260301-030000-bbbb", "20260301-020000-aaaa")
    assert (status["pending"], status["applied"]) == (["001"], 0)
    assert status["last_backup"]["id"] == "b1"


async def test_metrics_are_prometheus_text(api: Api) -> None:
    await api.a_deploy("20260301-020000-aaaa")
    for _ in range(2):
        answer = await api.http.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        samples = {
            (sample.name, sample.labels.get("outcome")): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
        assert samples["deploy_agent_deploys_total", "aborted"] == 1


# --- deploys ---


async def test_deploys_are_listed_newest_first_and_by_state(api: Api) -> None:
    for minute, deploy_id in enumerate(("a", "b", "c")):
        await api.a_deploy(deploy_id, minute=minute)
    await api.store.create("d", DeployRequest(project="test"), now=START + timedelta(hours=1))
    await api.a_deploy("e", project="another", minute=90)

    async def ids(**params: Any) -> list[str]:
        return [one["id"] for one in await api.get("/api/v1/deploys", **params)]

    assert await ids() == ["d", "c", "b", "a"]
    assert await ids(limit=2) == ["d", "c"]
    assert await ids(state="aborted") == ["c", "b", "a"]
    assert await ids(state=["queued", "succeeded"]) == ["d"]


async def test_one_deploy_is_told_whole_and_found_by_the_beginning_of_its_id(api: Api) -> None:
    await api.a_deploy("20260301-020000-aaaa")
    view = await api.get("/api/v1/deploys/20260301-02")
    assert view["id"] == "20260301-020000-aaaa"
    assert "version 7 has no file" in view["paragraph"]


async def test_events_come_in_pages(api: Api) -> None:
    await api.a_deploy("a")
    lines = [NewEvent(kind=EventKind.LOG, message=f"line {n}", at=START) for n in range(2200)]
    await api.store.append("a", lines)
    seen: list[int] = []
    sizes: list[int] = []
    while page := await api.get("/api/v1/deploys/a/events", after=seen[-1] if seen else 0):
        seen += [event["seq"] for event in page]
        sizes.append(len(page))
    assert seen == list(range(1, 2204))
    assert sizes == [1000, 1000, 203]
    assert [one["seq"] for one in await api.get("/api/v1/deploys/a/events", after=5, limit=2)] == [6, 7]


async def test_what_there_is_not(api: Api) -> None:
    await api.a_deploy("20260301-020000-aaaa")
    await api.a_deploy("20260301-020000-bbbb", minute=1)
    await api.a_deploy("of-another", project="another", minute=2)
    for deploy_id, code in {
        "nope": "notfound.deploy",
        "%25": "notfound.deploy",
        "of-another": "notfound.deploy",
        "20260301": "notfound.ambiguous",
    }.items():
        problem(await api.http.get(f"/api/v1/deploys/{deploy_id}"), 404, code)
        problem(await api.http.get(f"/api/v1/deploys/{deploy_id}/events"), 404, code)
        problem(await api.http.post(f"/api/v1/deploys/{deploy_id}/cancel"), 404, code)
        problem(await api.http.post(f"/api/v1/deploys/{deploy_id}/approve"), 404, code)


async def test_a_deploy_is_queued_once(api: Api) -> None:
    answer = await api.http.post("/api/v1/deploys", json={"until": "003"})
    assert answer.status_code == 202
    deploy = answer.json()
    assert deploy["state"] == "queued"
    assert answer.headers["location"] == f"/api/v1/deploys/{deploy['id']}"
    assert deploy["request"] == {
        "project": "test",
        "strategy": "per_migration",
        "plan_fingerprint": "",
        "until": "003",
        "include_all": False,
        "requested_by": "api",
    }, "what is not said is as in the settings"
    second = problem(await api.http.post("/api/v1/deploys"), 409, "busy.deploying")
    assert second["where"] == {"deploy_id": deploy["id"]}
    assert len(await api.get("/api/v1/deploys")) == 1


async def test_an_order_may_name_its_strategy(api: Api) -> None:
    answer = await api.http.post("/api/v1/deploys", json={"strategy": "auto"})
    assert answer.json()["request"]["strategy"] == "auto"


async def test_nothing_is_begun_while_the_agent_starts_or_stops(api: Api) -> None:
    problem(await api.http.post("/api/v1/backups"), 409, "busy.not_ready")
    api.begin()
    api.serving.end()
    problem(await api.http.post("/api/v1/deploys"), 409, "busy.stopping")
    problem(await api.http.post("/api/v1/backups"), 409, "busy.not_ready")


async def test_cancel_raises_the_flag_once(api: Api) -> None:
    deploy_id = (await api.http.post("/api/v1/deploys")).json()["id"]
    first = await api.http.post(f"/api/v1/deploys/{deploy_id}/cancel", json={"reason": "wrong day"})
    assert (first.status_code, first.json()["cancel_reason"]) == (202, "wrong day")
    again = await api.http.post(f"/api/v1/deploys/{deploy_id}/cancel")
    assert again.json()["cancel_reason"] == "wrong day", "the first reason stays"


async def test_cancel_after_the_end_changes_nothing(api: Api) -> None:
    await api.a_deploy("a")
    answer = await api.http.post("/api/v1/deploys/a/cancel")
    assert (answer.status_code, answer.json()["cancel_reason"]) == (202, "")


@pytest.mark.parametrize("approve", [True, False])
async def test_a_question_is_answered_once(api: Api, *, approve: bool) -> None:
    deploy_id = (await api.http.post("/api/v1/deploys")).json()["id"]
    path = f"/api/v1/deploys/{deploy_id}/approve"
    problem(await api.http.post(path), 404, "notfound.approval")
    proposal = Proposal(rung=4, backup_id="b", rows_salvaged=3, seconds=2.5)
    await api.store.ask_approval(deploy_id, proposal, reason="restore is set to approve", now=START)
    shown = await api.get(f"/api/v1/deploys/{deploy_id}")
    assert (shown["waits_for_approval"], shown["approvals"][0]["proposal"]["rows_salvaged"]) == (True, 3)
    problem(await api.http.post(path, json={"number": 2}), 404, "notfound.approval")
    answer = await api.http.post(path, json={"approve": approve, "number": 1, "remark": "spoke to the team"})
    assert answer.status_code == 200, answer.text
    given = answer.json()["approval"]
    assert given["answer"] == ("approved" if approve else "rejected")
    assert (given["answered_by"], given["remark"], given["reason"]) == (
        "api",
        "spoke to the team",
        "restore is set to approve",
    )
    problem(await api.http.post(path, json={"approve": not approve}), 404, "notfound.approval")
    assert (await api.get(f"/api/v1/deploys/{deploy_id}"))["waits_for_approval"] is False


async def test_the_plan_changes_nothing(real: Api) -> None:
    answer = await real.http.post("/api/v1/plan", json={"strategy": "atomic"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["strategy"] == "atomic"
    assert await real.get("/api/v1/deploys") == []


async def test_one_backup_at_a_time(real: Api) -> None:
    real.begin()
    answers = await asyncio.gather(real.http.post("/api/v1/backups"), real.http.post("/api/v1/backups"))
    made, refused = sorted(answers, key=lambda one: one.status_code)
    assert made.status_code == 201, made.text
    problem(refused, 409, "busy.backup")
    assert [one["id"] for one in await real.get("/api/v1/backups")] == [made.json()["id"]]
    await real.http.post("/api/v1/deploys")
    problem(await real.http.post("/api/v1/backups"), 409, "busy.deploying")


# --- refusals ---


async def test_refusals_have_one_shape(api: Api) -> None:
    http = api.http
    problem(await http.get("/nowhere"), 404, "http.404")
    wrong_method = await http.delete("/api/v1/deploys")
    problem(wrong_method, 405, "http.405")
    assert set(wrong_method.headers["allow"].replace(" ", "").split(",")) <= {"GET", "POST"}
    json_type = {"content-type": "application/json"}
    for answer, field in (
        (await http.get("/api/v1/deploys", params={"limit": 0}), "query.limit"),
        (await http.get("/api/v1/deploys", params={"state": "broken"}), "query.state.0"),
        (await http.get("/api/v1/deploys/a/events", params={"after": -1}), "query.after"),
        (await http.get("/api/v1/deploys/a/events", params={"after": 2**63}), "query.after"),
        (await http.post("/api/v1/deploys", json={"stratagem": "s3cret-value"}), "body.stratagem"),
        (await http.post("/api/v1/deploys", json={"strategy": "s3cret-value"}), "body.strategy"),
        (await http.post("/api/v1/deploys", json={"project": "another"}), "body.project"),
        (await http.post("/api/v1/deploys", content="{", headers=json_type), "body.1"),
        (await http.post("/api/v1/deploys/a/cancel", json={"reason": ""}), "body.reason"),
    ):
        body = problem(answer, 422, "input.request")
        assert body["where"] == {"field": field}
        assert "s3cret-value" not in answer.text
    problem(await http.post("/api/v1/plan"), 502, "target.unreachable")


async def test_a_body_has_a_bound_and_is_not_read_of_somebody_unknown(api: Api) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 16384

    answer = await api.http.post("/api/v1/deploys", content=endless(), headers={"authorization": "Bearer no"})
    problem(answer, 401, "auth.token_refused")
    assert read == 0

    for content in (b"x" * 100_000, endless()):
        answer = await api.http.post("/api/v1/deploys", content=content)
        problem(answer, 413, "http.413")


async def test_no_answer_holds_a_secret(api: Api) -> None:
    await api.a_deploy("20260301-020000-aaaa")
    await api.lookout.look()
    for endpoint in sorted(OPEN | READING | OPERATING):
        answer = await api.http.request(*request(endpoint))
        for secret in (TOKEN, PASSWORD, WEBHOOK, "webhook-secret"):
            assert secret not in answer.text, endpoint


# --- the document ---


async def test_the_document_is_openapi_and_names_token_and_problems(api: Api) -> None:
    answer = await api.http.get("/api/v1/openapi.json")
    document = answer.json()
    OpenAPI.model_validate(document)
    text = json.dumps(document)
    names = set(document["components"]["schemas"])
    assert {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]} <= names
    assert "HTTPValidationError" not in names, "422 has the shape of every other error"
    for path, item in document["paths"].items():
        for method, operation in item.items():
            protected = (method.upper(), path) not in OPEN
            assert bool(operation.get("security")) == protected, path
            for status in ("4XX", "5XX"):
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
            assert operation["summary"]
            assert operation["description"]


def test_the_page_lists_every_endpoint(api: Api) -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(GET|POST) (/[^`]*)` \|", page, flags=re.MULTILINE))
    assert listed == endpoints(api) | {("GET", "/api/v1/openapi.json")}


# --- the watch ---


async def test_a_plan_cut_short_by_the_end_of_an_agent_is_tried_again(real: Api) -> None:
    await real.lookout.watch()
    [first] = await real.store.deploys()
    assert first.request.plan_fingerprint == real.lookout.plan.fingerprint
    await real.lookout.watch()
    assert len(await real.store.deploys()) == 1, "one at a time"

    async def cancel(deploy_id: str, reason: str) -> None:
        await real.store.request_cancel(deploy_id, reason=reason, now=datetime.now(UTC))
        failure = Failure(cause="cancelled", code="deploy.cancelled", message=f"cancelled: {reason}")
        await real.store.transition(
            deploy_id, expected=State.QUEUED, move=Move.CANCEL, now=datetime.now(UTC), message="-", failure=failure
        )

    await cancel(first.id, STOPPING)
    await real.lookout.watch()
    second = (await real.store.deploys())[0]
    assert second.id != first.id
    await cancel(second.id, "a person has thought again")
    await real.lookout.watch()
    assert len(await real.store.deploys()) == 2, "a person's word holds"
    write_migrations(real.folder, {"001_tags.sql": "create table public.tags (id bigint);"})
    await real.lookout.watch()
    assert len(await real.store.deploys()) == 3, "until the files change"
