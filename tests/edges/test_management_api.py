"""The Management API on the wire: what is sent, what an answer means, what is sent again; no token is ever told."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl

import httpx
import pytest
import respx
from pydantic import SecretStr

from agent.edges import management_api
from agent.edges.management_api import ManagementApi
from agent.edges.management_api_budget import Budget, budget_of
from agent.errors import InputError, PlatformError, StatementError
from tests.support import tls
from tests.support.management import BASE, REF, TOKEN, Wire, project

P = f"{BASE}/v1/projects/{REF}"
PITR = f"{P}/database/backups/restore-pitr"
QUERY = f"{P}/database/query"


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def web():
    with respx.mock(assert_all_called=False) as router:
        yield router


async def refused(coroutine) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        await coroutine
    assert TOKEN not in repr(raised.value) + str(raised.value.as_dict())
    return raised.value


async def test_a_request_says_who_asks_and_nothing_else_does(wire, web, caplog):
    caplog.set_level(logging.DEBUG)
    web.get(P).respond(json=project())
    found = await wire.api.project()
    assert (found.ref, found.status, found.database.version) == (REF, "ACTIVE_HEALTHY", "17.4.1.054")
    sent = web.calls.last.request
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert sent.headers["user-agent"].startswith("supabase-deploy-agent/")
    (call,) = wire.calls
    assert (call.method, call.path, call.status, call.attempt, call.code) == ("GET", f"/v1/projects/{REF}", 200, 1, "")
    assert TOKEN not in caplog.text + str(wire.calls) + repr(wire.api.__dict__)


async def test_parameters_are_sent_as_the_document_has_them(wire, web):
    health = web.get(f"{P}/health").respond(json=[])
    await wire.api.health(["db", "rest"])
    assert health.calls.last.request.url.params.get_list("services") == ["db", "rest"]
    pitr = web.post(PITR).respond(201)
    await wire.api.restore_pitr(1740787200)
    assert json.loads(pitr.calls.last.request.content) == {"recovery_time_target_unix": 1740787200}
    query = web.post(QUERY).respond(201, json=[{"one": 1}])
    assert await wire.api.query("select $1::int as one", [1]) == ({"one": 1},)
    assert json.loads(query.calls.last.request.content) == {"query": "select $1::int as one", "parameters": [1]}
    reading = web.post(f"{QUERY}/read-only").respond(201, json=[])
    assert await wire.api.query("select 1", read_only=True) == ()
    assert json.loads(reading.calls.last.request.content) == {"query": "select 1"}


async def test_a_place_in_the_path_is_quoted(wire, web):
    route = web.get(url__regex=r".*").respond(500)
    await refused(wire.api.branch("../../v1/projects"))
    assert route.calls.last.request.url.raw_path == b"/v1/branches/..%2F..%2Fv1%2Fprojects"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "platform.refused"),
        (401, "platform.token_refused"),
        (402, "platform.plan"),
        (403, "platform.forbidden"),
        (404, "platform.not_found"),
        (406, "platform.refused"),
        (429, "platform.rate_limited"),
        (500, "platform.failed"),
        (544, "platform.failed"),
        (599, "platform.failed"),
        (204, "platform.bad_answer"),
        (201, "platform.bad_answer"),
        (302, "platform.bad_answer"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        {"message": "the words"},
        {"message": "the words", "errorEventId": "1"},
        {"error": {"name": "HttpException", "message": "the words"}},
        {"error": {"code": "x", "message": "the words", "meta": {}}},
        "the words",
        ["the words"],
        None,
    ],
)
async def test_each_status_has_one_code(wire, web, status, code, body):
    web.get(P).respond(status, json=body, headers={"location": "https://elsewhere.test/"})
    error = await refused(wire.api.project())
    assert (error.code, error.status) == (code, status)
    assert not error.in_doubt
    if isinstance(body, dict) and status >= 400:
        assert "the words" in error.message
    assert {call.request.url.host for call in web.calls} == {"api.example.test"}


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Forbidden", "missing_permissions": ["backups_read"]},
        {"error": {"code": "forbidden", "message": "Forbidden", "meta": {"missing_permissions": ["backups_read"]}}},
        {"error": {"message": "Forbidden", "missing_permissions": ["backups_read"]}},
    ],
)
async def test_a_403_says_what_the_token_lacks_and_what_for(wire, web, body):
    web.get(f"{P}/database/backups").respond(403, json=body)
    error = await refused(wire.api.backups())
    assert error.missing_permissions == ("backups_read",)
    assert error.message == "the token lacks backups_read, needed for the platform's backups"
    assert "database:read" in error.hint
    assert len(web.calls) == 1


async def test_a_token_in_an_answer_is_masked(wire, web):
    web.get(P).respond(400, json={"message": f"bad token {TOKEN} and sbp_{'f' * 40}"})
    error = await refused(wire.api.project())
    assert "f" * 40 not in error.message


@pytest.mark.parametrize("status", sorted(management_api.errors.TRY_AGAIN))
async def test_a_read_is_tried_again(wire, web, status):
    web.get(P).mock(side_effect=[httpx.Response(status), httpx.Response(200, json=project())])
    assert (await wire.api.project()).healthy
    assert [call.attempt for call in wire.calls] == [1, 2]
    assert len(wire.pauses) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 501])
async def test_what_will_not_change_is_not_asked_again(wire, web, status):
    web.get(P).respond(status)
    await refused(wire.api.project())
    assert len(web.calls) == 1


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_attempts_and_their_pauses_have_an_end(wire, web, failure):
    web.get(P).mock(side_effect=failure("x"))
    error = await refused(wire.api.project())
    assert error.code == "platform.unreachable"
    assert len(web.calls) == 4
    assert wire.pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("header", ["retry-after", "x-ratelimit-reset"])
async def test_a_429_is_waited_for_as_long_as_the_api_says(wire, web, header):
    web.get(P).mock(side_effect=[httpx.Response(429, headers={header: "7"}), httpx.Response(200, json=project())])
    await wire.api.project()
    assert sum(wire.pauses) == pytest.approx(7.5)


async def test_a_wait_beyond_the_deadline_is_not_begun(wire, web):
    web.get(P).respond(429, headers={"retry-after": "3600"})
    error = await refused(wire.api.project())
    assert error.code == "platform.rate_limited"
    assert (len(web.calls), wire.pauses) == (1, [])


@pytest.mark.parametrize("failure", [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])
async def test_a_request_with_an_effect_that_may_have_arrived_is_not_repeated(wire, web, failure):
    web.post(PITR).mock(side_effect=failure("x"))
    error = await refused(wire.api.restore_pitr(1))
    assert (error.code, error.in_doubt, len(web.calls)) == ("platform.in_doubt", True, 1)


@pytest.mark.parametrize("status", [200, 204, 302, 408, 500, 502, 503, 504, 544])
async def test_an_answer_that_does_not_say_leaves_a_request_with_an_effect_in_doubt(wire, web, status):
    web.post(PITR).respond(status, json={"message": "m"})
    error = await refused(wire.api.restore_pitr(1))
    assert (error.code, error.in_doubt, len(web.calls)) == ("platform.in_doubt", True, 1)


async def test_a_page_is_no_success_of_a_request_without_an_answer(wire, web):
    web.post(PITR).respond(201, html="<html>sign in</html>")
    assert (await refused(wire.api.restore_pitr(1))).in_doubt


async def test_an_effect_whose_answer_cannot_be_read_is_in_doubt(wire, web):
    web.post(f"{P}/branches").respond(201, json={"id": 1})
    error = await refused(wire.api.create_branch("b"))
    assert (error.code, len(web.calls)) == ("platform.in_doubt", 1)


@pytest.mark.parametrize("first", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.Response(429)])
async def test_a_request_with_an_effect_that_cannot_have_arrived_is_sent_again(wire, web, first):
    web.post(PITR).mock(side_effect=[first, httpx.Response(201)])
    await wire.api.restore_pitr(1)
    assert len(web.calls) == 2


async def test_a_branch_that_is_gone_after_a_lost_answer_is_deleted(wire, web):
    web.delete(url__startswith=f"{BASE}/v1/branches/").mock(
        side_effect=[httpx.ReadError("x"), httpx.Response(404, json={"message": "no"})]
    )
    await wire.api.delete_branch(REF)
    assert len(web.calls) == 2


async def test_a_branch_that_never_was_is_not_found(wire, web):
    web.delete(url__startswith=f"{BASE}/v1/branches/").respond(404)
    assert (await refused(wire.api.delete_branch(REF))).code == "platform.not_found"


async def test_the_databases_own_error_is_a_statement_error(wire, web):
    said = (
        'Failed to run sql query: ERROR:  42703: column "ii.x" does not exist\nLINE 2: ii.x\n  ^\nHINT: Perhaps "x".\n'
    )
    for body in ({"message": said}, {"error": {"name": "HttpException", "message": said}}):
        web.post(QUERY).respond(400, json=body)
        with pytest.raises(StatementError) as raised:
            await wire.api.query("select ii.x")
        error = raised.value
        assert (error.sqlstate, error.message) == ("42703", 'column "ii.x" does not exist')
        assert error.server_hint == 'Perhaps "x".'


async def test_a_query_that_the_api_stopped_waiting_for_is_in_doubt(wire, web):
    web.post(QUERY).respond(400, json={"message": "Failed to run sql query: Query read timeout"})
    assert (await refused(wire.api.query("delete from t"))).in_doubt
    web.post(QUERY).respond(400, json={"message": "query: Required"})
    error = await refused(wire.api.query("x"))
    assert (error.code, error.in_doubt) == ("platform.refused", False)


async def test_a_reading_query_is_never_in_doubt(wire, web):
    web.post(f"{QUERY}/read-only").respond(544, json={"message": "connection timeout"})
    error = await refused(wire.api.query("select 1", read_only=True))
    assert (error.code, len(web.calls)) == ("platform.failed", 4)


@pytest.mark.parametrize(
    "answer",
    [
        {"html": "<html>"},
        {"text": json.dumps(project())},
        {"content": b"{", "headers": {"content-type": "application/json"}},
        {"content": b"", "headers": {"content-type": "application/json"}},
        {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}},
        {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}},
        {"content": b"x", "headers": {"content-type": "application/json", "content-encoding": "gzip"}},
        {"json": {}},
        {"json": []},
        {"json": project(status=None)},
        {"json": project(status=1)},
        {"json": project(database="x")},
        {"content": json.dumps(project()).encode()},
    ],
)
async def test_an_answer_in_another_form_is_one_error(wire, web, answer):
    web.get(P).respond(200, **answer)
    error = await refused(wire.api.project())
    assert error.code == "platform.bad_answer"
    assert len(web.calls) == 1


async def test_an_answer_has_a_largest_size(wire, web, monkeypatch):
    monkeypatch.setattr(management_api, "LARGEST", 1 << 20)
    web.get(f"{P}/analytics/endpoints/metrics").respond(text="x" * (2 << 20))
    assert (await refused(wire.api.metrics())).code == "platform.bad_answer"


async def test_a_wrong_answer_with_a_password_does_not_tell_it(wire, web):
    web.post(f"{P}/cli/login-role").respond(
        201, json={"role": 1, "password": "pass-word-1", "ttl_seconds": "pass-word-1"}
    )
    error = await refused(wire.api.login_role(read_only=False))
    assert "pass-word-1" not in str(error.as_dict())
    web.post(f"{P}/cli/login-role").respond(201, json={"role": "r", "password": "pass-word-1", "ttl_seconds": 300})
    assert "pass-word-1" not in repr(await wire.api.login_role(read_only=False))


async def test_what_the_organization_allows_is_asked_by_its_slug(wire, web):
    web.get(P).respond(json=project())
    given = {
        "feature": {"key": "pitr.available_variants", "type": "set"},
        "hasAccess": True,
        "type": "set",
        "config": {"enabled": True, "set": ["pitr_7"]},
    }
    web.get(f"{BASE}/v1/organizations/acme/entitlements").respond(json={"entitlements": [given]})
    found = await wire.api.entitlements()
    assert found.allows("pitr.available_variants")
    assert found.allows("new.thing") is None


async def test_maintenance_is_that_of_the_projects_region_and_may_be_unknown(wire, web):
    window = {"start_at": "2026-11-22T02:00:00Z", "end_at": "2026-11-22T04:00:00Z"}
    regions = [
        {
            "type": "maintenance_window",
            "id": name,
            "attributes": {
                "window": {"day": "sun", "start_utc": "02:00", "duration_minutes": 120},
                "current_window": current,
                "next_windows": [window],
            },
        }
        for name, current in (("us-east-1", None), ("eu-central-1", window))
    ]
    web.get(P).respond(json=project())
    windows = web.get(f"{BASE}/v2/organizations/acme/maintenance/windows")
    windows.respond(json={"data": regions})
    assert (await wire.api.maintenance()).current.start_at == window["start_at"]
    windows.respond(json={"data": regions[:1]})
    assert await wire.api.maintenance() is None
    windows.respond(404, json={"error": {"code": "not_found", "message": "no"}})
    assert await wire.api.maintenance() is None
    windows.respond(403)
    assert (await refused(wire.api.maintenance())).code == "platform.forbidden"


async def test_listeners_hear_each_attempt(wire, web):
    heard = []
    wire.api.on_call(heard.append)
    web.get(P).mock(side_effect=[httpx.ReadError("x"), *[httpx.Response(200, json=project())] * 2])
    await wire.api.project()
    assert [(call.status, call.code) for call in heard] == [(None, "platform.unreachable"), (200, "")]
    wire.api.on_call(None)
    await wire.api.project()
    assert len(heard) == 2


async def test_a_slow_answer_is_given_up(wire, web):
    async def never(request):
        await asyncio.Event().wait()

    wire.api._timing = management_api.Timing(
        timeout_s=0.01, monotonic=lambda: wire.now, sleep=wire.api._timing.sleep, jitter=lambda: 1.0
    )
    web.get(P).mock(side_effect=never)
    assert (await refused(wire.api.project())).code == "platform.timeout"


def test_the_budget_is_spent_by_place_and_endpoint():
    now = [0.0]
    budget = Budget(lambda: now[0], limit=2)
    a, b = ("ref", "x"), ("ref", "y")
    assert [budget.take(a), budget.take(a)] == [0, 0]
    now[0] = 20.0
    assert budget.take(a) == 40.0
    assert budget.take(b) == 0
    now[0] = 60.0
    assert budget.take(a) == 0
    budget.heard(b, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, refused=False)
    assert budget.take(b) == 9.0
    budget.heard(b, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, refused=False)
    assert budget.take(b) == 9.0


def test_one_token_has_one_budget():
    assert budget_of("one") is budget_of("one")
    assert budget_of("one") is not budget_of("two")


async def test_a_spent_budget_is_waited_for_or_told(wire, web):
    web.get(P).respond(json=project())
    for _ in range(120):
        wire.budget.take((REF, "v1-get-project"))
    error = await refused(wire.api.project())
    assert (error.code, len(web.calls)) == ("platform.rate_limited", 0)
    wire.now += 31
    await wire.api.project()
    assert wire.pauses == [29.0]


async def test_http_is_sent_through_the_proxy_that_is_set_and_no_other(wire, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    seen = []

    async def proxy(reader, writer):
        seen.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        api = wire.client(proxy=SecretStr(f"http://user:pass-word@127.0.0.1:{port}"))
        error = await refused(api.restore_pitr(1))
        await api.close()
    assert seen[0] == b"CONNECT api.example.test:443 HTTP/1.1\r\n"
    assert (error.code, error.in_doubt) == ("platform.unreachable", False)
    assert "pass-word" not in str(error.as_dict())


async def test_a_certificate_of_nobody_is_refused_and_of_the_ca_taken(wire, tmp_path):
    answer = json.dumps(project()).encode()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
        writer.write(head.encode() + answer)
        await writer.drain()
        writer.close()

    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    certificate.write_text(tls.CERTIFICATE)
    key.write_text(tls.KEY)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        base = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        stranger = wire.client(base_url=base)
        error = await refused(stranger.project())
        assert error.code == "platform.tls_refused"
        assert len(wire.calls) == 1
        friend = wire.client(base_url=base, ca_file=certificate)
        assert (await friend.project()).healthy
        await stranger.close()
        await friend.close()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(InputError) as raised:
        ManagementApi(ref=REF, token=lambda: SecretStr(TOKEN), ca_file=path)
    assert raised.value.code == "settings.platform_ca_file"
