"""The probe of http checks against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.core.checks import HttpCheck
from agent.edges import http_probe
from agent.edges.http_probe import HttpxProbe
from agent.errors import AgentError, InputError, TargetError

SECRET = "sb_secret_1234567890"


class Api:
    """Answers every request with `reply`; keeps what it was asked."""

    def __init__(self) -> None:
        self.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
        self.asked: list[str] = []
        self.port = 0
        self.hang = asyncio.Event()
        self.hang.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-len")), 0
        )
        self.asked.append(head + (await reader.readexactly(length)).decode())
        await self.hang.wait()
        writer.write(self.reply)
        await writer.drain()
        writer.close()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    running = Api()
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        running.hang.set()
        server.close()
        await server.wait_closed()


@pytest.fixture
async def probe(api: Api) -> AsyncIterator[HttpxProbe]:
    opened = HttpxProbe({"API": f"http://localhost:{api.port}", "KEY": SECRET}, limit=100)
    yield opened
    await opened.close()


def check(**spec: Any) -> HttpCheck:
    return HttpCheck.model_validate({"url": "${API}/rest/v1/tracks?select=id"} | spec)


async def test_a_request_goes_out_as_written(api: Api, probe: HttpxProbe) -> None:
    body = {"name": "${KEY}", "tags": ["a", 1]}
    answer = await probe.send(check(method="POST", headers={"apikey": "${KEY}"}, body=body), timeout_s=10)
    assert (answer.status, answer.text, answer.cut) == (200, "[]", False)
    head, _, sent = api.asked[0].partition("\r\n\r\n")
    assert head.splitlines()[0] == "POST /rest/v1/tracks?select=id HTTP/1.1"
    assert f"apikey: {SECRET}" in head
    assert f"host: localhost:{api.port}" in head.lower()
    assert json.loads(sent) == {"name": SECRET, "tags": ["a", 1]}


async def test_a_redirect_is_an_answer_and_not_followed(api: Api, probe: HttpxProbe) -> None:
    api.reply = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    assert (await probe.send(check(), timeout_s=10)).status == 302
    assert len(api.asked) == 1


async def test_a_long_body_is_cut(api: Api, probe: HttpxProbe) -> None:
    api.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    answer = await probe.send(check(), timeout_s=10)
    assert (len(answer.text), answer.cut) == (100, True)


async def test_an_api_that_does_not_answer(api: Api, probe: HttpxProbe) -> None:
    api.hang.clear()
    with pytest.raises(TargetError) as caught:
        await probe.send(check(), timeout_s=0.05)
    assert caught.value.code == "http.timeout"


async def test_an_answer_that_is_not_http(api: Api, probe: HttpxProbe) -> None:
    api.reply = b"SSH-2.0-OpenSSH\r\n"
    with pytest.raises(TargetError) as caught:
        await probe.send(check(), timeout_s=10)
    assert caught.value.code == "http.unreachable"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://169.254.169.254/latest/meta-data", "http.refused"),
        ("http://[::ffff:169.254.169.254]/", "http.refused"),
        ("http://2852039166/", "http.refused"),  # the same address as one number
        ("http://0.0.0.0/", "http.refused"),
        ("http://[fe80::1]/", "http.refused"),
        ("http://user:word@localhost/", "http.bad_url"),
        ("http:///path", "http.bad_url"),
        ("${MISSING}/x", "http.unset_variable"),
        ("http://localhost/${DEPLOY_AGENT_DATABASE_URL}", "http.own_variable"),
        ("http://localhost/${deploy_agent_http__token}", "http.own_variable"),
        ("http://localhost/${AWS_SECRET_ACCESS_KEY}", "http.own_variable"),
        ("http://localhost/${PGPASSWORD}", "http.own_variable"),
        ("${KEY}/x", "http.bad_url"),
        ("http://localhost:1/", "http.unreachable"),
        ("http://no-such-host.invalid/", "http.unreachable"),
    ],
)
async def test_where_no_request_goes(probe: HttpxProbe, url: str, code: str) -> None:
    with pytest.raises((InputError, TargetError)) as caught:
        await probe.send(check(url=url), timeout_s=10)
    assert caught.value.code == code


async def test_no_secret_in_a_message(api: Api, probe: HttpxProbe) -> None:
    messages = []
    for spec in ({"url": "http://localhost:1/?key=${KEY}"}, {"url": "${KEY}"}, {"url": "http://${KEY}@localhost/"}):
        with pytest.raises(AgentError) as caught:
            await probe.send(check(**spec), timeout_s=10)
        messages.append(f"{caught.value.as_dict()} {caught.value.__cause__!r}")
    assert [message for message in messages if SECRET in message] == []


async def test_the_connection_goes_to_the_address_that_was_checked(
    api: Api, probe: HttpxProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def checked(url: Any, shown: str) -> list[str]:
        return ["::1", "127.0.0.1"]  # nobody listens at the first

    monkeypatch.setattr(http_probe, "_addresses", checked)
    answer = await probe.send(check(url=f"http://changed-meanwhile.invalid:{api.port}/x"), timeout_s=10)
    assert answer.status == 200
    assert f"host: changed-meanwhile.invalid:{api.port}" in api.asked[0].lower()
