"""Webhooks over HTTP: what is sent, what each answer means, and that no URL is ever told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
import respx
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from agent.core.models import DeployRequest
from agent.core.states import Move, State
from agent.deploy.outbox import Outbox, RetryPolicy
from agent.edges import notifiers
from agent.edges.notifiers import WebhookNotifier, make_client, make_notifier
from agent.edges.store import LEASE, open_store
from agent.errors import DeliveryError, InputError
from agent.report.chat import Message, compose
from agent.report.chat_payloads import RENDERERS
from tests.support import stories
from tests.support.chat_schemas import SCHEMAS
from tests.support.clock import START, FakeClock
from tests.support.receiver import Answer, Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = "/services/T0AAA/B0BBB/c2VjcmV0dG9rZW4"
HOOK = f"https://hooks.example.test{PATH}"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    opened = make_client()
    yield opened
    await opened.aclose()


def message() -> Message:
    story = stories.restored()
    return compose(story.deploy(), story.events, len(story.events))


def payload() -> dict[str, object]:
    return message().model_dump(mode="json")


def notifier(client: httpx.AsyncClient, url: str = HOOK, kind: str = "slack") -> WebhookNotifier:
    return make_notifier(
        name="night",
        kind=kind,
        url=SecretStr(url),
        secret=SecretStr(SECRET),
        client=client,
        now=lambda: datetime.now(UTC),
    )


async def failure_of(target: WebhookNotifier) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        await target.send(payload())
    return error.value


# --- what is sent ---


@pytest.mark.parametrize("kind", RENDERERS)
async def test_each_vendor_gets_its_form(kind: str, client: httpx.AsyncClient, webhooks: Receiver) -> None:
    await notifier(client, webhooks.url + PATH, kind).send(payload())
    (request,) = webhooks.requests
    assert (request.method, request.path) == ("POST", PATH)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("supabase-deploy-agent/")
    SCHEMAS[kind].model_validate(request.json())
    assert request.json() == json.loads(json.dumps(RENDERERS[kind](message())))


async def test_a_program_can_prove_who_sent_it(client: httpx.AsyncClient, webhooks: Receiver) -> None:
    target = notifier(client, webhooks.url, "standard")
    await target.send(payload())
    await target.send(payload())
    first, second = webhooks.requests
    told = Webhook(SECRET).verify(first.body, dict(first.headers))
    assert told["type"] == "deploy.restored"
    assert told["data"]["failure"]["sqlstate"] == "23503"
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "msg_01JQ7DEPLOY.20"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(first.body.replace(b"restored", b"succeeded"), dict(first.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_AAAA").verify(first.body, dict(first.headers))


# --- what an answer means ---


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_delivered(status: int, client: httpx.AsyncClient, respx_mock: respx.MockRouter) -> None:
    respx_mock.post(HOOK).respond(status)
    await notifier(client).send(payload())


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
async def test_worth_another_try(status: int, client: httpx.AsyncClient, respx_mock: respx.MockRouter) -> None:
    respx_mock.post(HOOK).respond(status, text="upstream   is\naway")
    error = await failure_of(notifier(client))
    assert (error.code, error.permanent, error.retry_after) == ("delivery.failed", False, None)
    assert error.message == f"night answered HTTP {status}: upstream is away"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422])
async def test_hopeless(status: int, client: httpx.AsyncClient, respx_mock: respx.MockRouter) -> None:
    respx_mock.post(HOOK).respond(status, text="invalid_blocks")
    error = await failure_of(notifier(client))
    assert (error.code, error.permanent) == ("delivery.refused", True)
    assert error.message == f"night answered HTTP {status}: invalid_blocks"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int, client: httpx.AsyncClient, webhooks: Receiver) -> None:
    webhooks.answers.append(Answer(status=status, headers={"location": webhooks.url + "/elsewhere"}, body=b""))
    error = await failure_of(notifier(client, webhooks.url + PATH))
    assert (error.permanent, len(webhooks.requests)) == (True, 1)
    assert "not followed" in error.hint


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "30"}, {}, 30.0),
        ({"retry-after": "0.5"}, {}, 0.5),
        ({"retry-after": "-5"}, {}, 0.0),
        ({"retry-after": "2"}, {"retry_after": 9}, 2.0),
        ({}, {"message": "You are being rate limited.", "retry_after": 1.337, "global": False}, 1.337),
        ({}, {"retry_after": None}, None),
        ({}, ["no object"], None),
        ({"retry-after": "soon"}, {}, None),
    ],
)
async def test_a_rate_limit_says_how_long(
    headers: dict[str, str],
    body: object,
    seconds: float | None,
    client: httpx.AsyncClient,
    respx_mock: respx.MockRouter,
) -> None:
    respx_mock.post(HOOK).respond(429, headers=headers, json=body)
    error = await failure_of(notifier(client, kind="discord"))
    assert (error.code, error.permanent, error.retry_after) == ("delivery.rate_limited", False, seconds)


@pytest.mark.parametrize(("shift", "seconds"), [(90, 90.0), (-90, 0.0)])
async def test_retry_after_may_be_a_date(
    shift: int, seconds: float, client: httpx.AsyncClient, respx_mock: respx.MockRouter
) -> None:
    date = format_datetime(START + timedelta(seconds=shift), usegmt=True)
    respx_mock.post(HOOK).respond(503, headers={"retry-after": date})
    target = make_notifier(name="night", kind="teams", url=SecretStr(HOOK), client=client, now=lambda: START)
    assert (await failure_of(target)).retry_after == seconds


async def test_a_receiver_that_hangs(
    client: httpx.AsyncClient, webhooks: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifiers, "TIMEOUT_S", 0.05)
    webhooks.hold()
    error = await failure_of(notifier(client, webhooks.url + PATH))
    assert (error.code, error.permanent) == ("delivery.timeout", False)


async def test_a_receiver_that_never_ends(client: httpx.AsyncClient) -> None:
    """Only the beginning of an answer is read: it comes to an end, and takes no memory."""
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                sent += 1024
                await writer.drain()
        except ConnectionError:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        with pytest.raises(DeliveryError) as caught:
            await notifier(client, url).send(payload())
    assert caught.value.code == "delivery.refused"
    assert caught.value.message.endswith("x" * 120)
    assert sent < 50_000_000


async def test_a_receiver_that_is_not_there(client: httpx.AsyncClient) -> None:
    error = await failure_of(notifier(client, f"http://127.0.0.1:1{PATH}"))
    assert (error.code, error.permanent) == ("delivery.unreachable", False)
    assert error.message == "night cannot be reached (ConnectError)"


def test_a_delivery_ends_before_its_lease() -> None:
    assert timedelta(seconds=notifiers.TIMEOUT_S) * 2 < LEASE


# --- secrets ---


async def test_the_url_is_never_told(
    client: httpx.AsyncClient, webhooks: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{webhooks.url}{PATH}?token=abcdef"
    webhooks.answers.extend(
        [
            Answer(status=200),
            Answer(status=404, body=f"no such webhook: {url}".encode()),
            Answer(status=500, body=b"bad token c2VjcmV0dG9rZW4"),
        ]
    )
    target = notifier(client, url)
    await target.send(payload())
    errors = [await failure_of(target), await failure_of(target)]
    errors.append(await failure_of(notifier(client, f"http://127.0.0.1:1{PATH}?token=abcdef")))
    told = caplog.text + repr(vars(target))
    told += "".join(f"{error} {error.hint} {error.where} {error!r}" for error in errors)
    assert "c2VjcmV0dG9rZW4" not in told
    assert "abcdef" not in told
    assert errors[0].message == "night answered HTTP 404"
    assert [error.__cause__ for error in errors] == [None] * 3


# --- settings ---


@pytest.mark.parametrize(
    ("kind", "url", "secret", "code"),
    [
        ("irc", HOOK, None, "settings.notify_kind"),
        ("slack", "hooks.example.test/x", None, "settings.notify_url"),
        ("slack", "ftp://hooks.example.test/x", None, "settings.notify_url"),
        ("slack", "https://", None, "settings.notify_url"),
        ("slack", "https://[::1/x", None, "settings.notify_url"),
        ("standard", HOOK, None, "settings.notify_secret"),
        ("standard", HOOK, "whsec_", "settings.notify_secret"),
        ("standard", HOOK, "whsec_a", "settings.notify_secret"),
    ],
)
async def test_wrong_settings(kind: str, url: str, secret: str | None, code: str, client: httpx.AsyncClient) -> None:
    with pytest.raises(InputError) as error:
        make_notifier(
            name="night",
            kind=kind,
            url=SecretStr(url),
            secret=None if secret is None else SecretStr(secret),
            client=client,
            now=lambda: START,
        )
    assert error.value.code == code
    assert "night" in error.value.message
    assert "hooks.example.test" not in error.value.message


# --- from the store to the receiver ---


async def test_a_deploy_is_told_to_everybody(tmp_path: Path, client: httpx.AsyncClient, webhooks: Receiver) -> None:
    targets = {kind: notifier(client, f"{webhooks.url}/{kind}", kind) for kind in RENDERERS}
    wanted = dict.fromkeys(targets, frozenset(State)) | {"discord": frozenset({State.ABORTED})}
    store = await open_store(f"sqlite:///{tmp_path}/agent.db", notify_targets=wanted)
    clock = FakeClock()
    outbox = Outbox(
        store=store,
        notifiers=targets,
        compose=lambda deploy, events, seq: compose(deploy, events, seq).model_dump(mode="json"),
        clock=clock,
        random=lambda: 0.0,
        on_error=lambda error: pytest.fail(str(error)),
        policy=RetryPolicy(attempts=3),
    )
    try:
        await store.create("d1", DeployRequest(project="tracks-posts"), now=clock.now())
        await store.transition("d1", expected=State.QUEUED, move=Move.START, now=clock.now(), message="")
        await store.transition("d1", expected=State.PREFLIGHT, move=Move.FAIL, now=clock.now(), message="")
        assert await asyncio.wait_for(outbox.drain(60), 30) == ()
    finally:
        await store.close()
    got = {kind: [r for r in webhooks.requests if r.path == f"/{kind}"] for kind in RENDERERS}
    assert {kind: len(requests) for kind, requests in got.items()} == dict.fromkeys(RENDERERS, 3) | {"discord": 1}
    assert [request.json()["type"] for request in got["standard"]] == [
        "deploy.queued",
        "deploy.preflight",
        "deploy.aborted",
    ]
