"""What the probe of the project's API needs, before it asks anything."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.core.api_checks import ApiCheck, ApiFile
from agent.core.platform import ApiKey
from agent.core.redaction import Redactor
from agent.deploy.api_access import ApiAccess
from agent.edges.api_probe import SupabaseProbe
from agent.errors import InputError, PlatformError, TargetError
from tests.support.receiver import Answer, Receiver

SIGNED_IN = {
    "as": {"email": {"env": "EMAIL"}, "password": {"file": "FILE"}},
    "knows": "tracks",
}


class Listed:
    """A platform that lists keys; stands in for the hosted one."""

    def __init__(self, *keys: ApiKey, refuses: bool = False) -> None:
        self.keys = keys
        self.refuses = refuses
        self.asked: list[bool] = []

    async def api_keys(self, *, reveal: bool) -> tuple[ApiKey, ...]:
        self.asked.append(reveal)
        if self.refuses:
            raise PlatformError("the token lacks api_gateway_keys_read", code="platform.forbidden")
        return self.keys


def access(platform: Listed | None = None, url: str = "https://x.test", anon: str = "", service: str = "") -> ApiAccess:
    return ApiAccess(
        url=url,
        anon=lambda: SecretStr(anon) if anon else None,
        service=lambda: SecretStr(service) if service else None,
        platform=platform,  # type: ignore[arg-type]  # only what is asked of it
    )


def key(name: str, kind: str, value: str | None) -> ApiKey:
    return ApiKey(name=name, type=kind, api_key=SecretStr(value) if value else None)


LEGACY = (key("anon", "legacy", "eyJ.anon"), key("service_role", "legacy", "eyJ.service"))
NEW = (key("default", "publishable", "sb_publishable_1"), key("default", "secret", "sb_secret_1"))


@pytest.mark.parametrize(
    ("keys", "anon", "service"),
    [
        ((*LEGACY, *NEW), "sb_publishable_1", "sb_secret_1"),
        (LEGACY, "eyJ.anon", "eyJ.service"),
        ((*LEGACY[:1], key("default", "publishable", None)), "eyJ.anon", None),
    ],
)
async def test_a_key_that_is_not_set_is_asked_of_the_platform(
    keys: tuple[ApiKey, ...], anon: str, service: str | None
) -> None:
    found = await access(Listed(*keys))(True)
    assert found.anon.get_secret_value() == anon
    assert (found.service.get_secret_value() if found.service else None) == service


async def test_secret_keys_are_revealed_only_where_a_check_needs_one() -> None:
    platform = Listed(*NEW)
    asking = access(platform)
    await asking(False)
    await asking(False)
    assert platform.asked == [False]
    await asking(True)
    assert platform.asked == [False, True]
    platform = Listed(*NEW)
    given = await access(platform, anon="mine", service="mine too")(True)
    assert (given.anon.get_secret_value(), platform.asked) == ("mine", [])


@pytest.mark.parametrize(
    ("asking", "told"),
    [
        (access(url=""), "nobody knows its address"),
        (access(), "no token for the Management API"),
        (access(Listed()), "the platform shows no publishable key"),
        (access(Listed(refuses=True)), "the token lacks api_gateway_keys_read"),
    ],
)
async def test_an_api_that_is_not_set_up_is_named(asking: ApiAccess, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        await asking(False)
    assert caught.value.code == "api.not_set_up"


def probe(environment: dict[str, str], redactor: Redactor | None = None) -> SupabaseProbe:
    return SupabaseProbe(access(anon="publishable"), redactor=redactor or Redactor([]), environment=environment)


def signed_in(folder: Path, text: str | None) -> ApiCheck:
    place = folder / "password"
    if text is not None:
        place.write_text(text)
    return ApiCheck.model_validate({**SIGNED_IN, "as": {"email": {"env": "EMAIL"}, "password": {"file": str(place)}}})


async def test_secrets_are_read_where_the_runbook_says_and_masked_from_then_on(tmp_path: Path) -> None:
    redactor = Redactor([])
    await probe({"EMAIL": "a@example.com"}, redactor).check_ready(signed_in(tmp_path, "very secret\n"))
    assert redactor("it was very secret") == "it was ***"


@pytest.mark.parametrize(
    ("environment", "text", "told"),
    [
        ({}, "x", "EMAIL, which is not set"),
        ({"EMAIL": "a"}, None, "which cannot be read"),
        ({"EMAIL": "a"}, "\n", "which is empty"),
    ],
)
async def test_a_secret_that_is_missing_is_named_by_its_place(
    tmp_path: Path, environment: dict[str, str], text: str | None, told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        await probe(environment).check_ready(signed_in(tmp_path, text))
    assert caught.value.code == "api.no_secret"


async def test_without_the_package_its_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supabase", None)
    with pytest.raises(InputError) as caught:
        await probe({}).check_ready(ApiCheck(knows=("tracks",)))
    assert caught.value.code == "api.not_installed"
    assert "pip install 'supabase-deploy-agent[api]'" in caught.value.hint


async def test_a_service_check_wants_the_service_key() -> None:
    with pytest.raises(InputError, match="the service key") as caught:
        await probe({}).check_ready(ApiCheck.model_validate({"as": "service", "knows": "tracks"}))
    assert caught.value.code == "api.not_set_up"


ANYTHING = [b"", b"<html>", b"{}", b"[1", b"null", b'"text"', b'{"error": 1}', bytes([255])]


@pytest.mark.parametrize("status", [200, 201, 302, 400, 404, 500, 503])
async def test_whatever_answers_there_is_an_answer_or_one_error_with_a_code(webhooks: Receiver, status: int) -> None:
    """Never a traceback; and what is no success is never taken for one."""
    asking = SupabaseProbe(access(anon="publishable", url=webhooks.url), redactor=Redactor([]), environment={})
    async with asking.opened(ApiCheck(knows=("t",)), timeout_s=5) as client:
        attempts = (
            lambda: client.select("t", "*", {}, limit=1),
            lambda: client.insert("t", {"id": 1}),
            lambda: client.call("f", {}),
            lambda: client.file(ApiFile(bucket="b", path="p")),
            lambda: client.file(ApiFile(bucket="b", path="p", by="list")),
            lambda: client.file(ApiFile(bucket="b", path="p", by="signed_url")),
            lambda: client.sign_in("a@example.com", "password"),
        )
        for body, attempt in itertools.product(ANYTHING, attempts):
            webhooks.answers.clear()
            webhooks.answers.extend([Answer(status=status, body=body)] * 3)
            code, answer = "", None
            try:
                answer = await attempt()
            except TargetError as error:
                code = error.code
            assert (answer is None) is (code in ("api.bad_answer", "api.unreachable", "api.sign_in")), (body, code)
            assert answer is None or not answer.ok or status < 300
