"""Any answer to any operation: what the document allows is taken as it is, the rest is one coded error.

`MANAGEMENT_EXAMPLES=500` draws that many answers for each operation instead of a few, others every time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
import respx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from agent.core.platform_operations import OPERATIONS
from agent.edges.management_api import ManagementApi
from agent.errors import AgentError, PlatformError, StatementError
from tests.support.management import BASE, REF, TOKEN, Wire, project
from tests.support.openapi_strategies import ANYTHING, answers, spoilt

EXAMPLES = int(os.environ.get("MANAGEMENT_EXAMPLES", "8"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="MANAGEMENT_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)

Ask = Callable[[ManagementApi], Awaitable[Any]]
METHODS: dict[str, Ask] = {
    "project": lambda api: api.project(),
    "health": lambda api: api.health(["db"]),
    "backups": lambda api: api.backups(),
    "restore_pitr": lambda api: api.restore_pitr(1),
    "create_restore_point": lambda api: api.create_restore_point("p"),
    "restore_point": lambda api: api.restore_point(),
    "undo": lambda api: api.undo("p"),
    "read_only": lambda api: api.read_only(),
    "disk": lambda api: api.disk(),
    "poolers": lambda api: api.poolers(),
    "login_role": lambda api: api.login_role(read_only=False),
    "security_advisors": lambda api: api.advisors("security"),
    "performance_advisors": lambda api: api.advisors("performance"),
    "run_advisors": lambda api: api.run_advisors(["no_primary_key"]),
    "query": lambda api: api.query("select 1"),
    "read_only_query": lambda api: api.query("select 1", read_only=True),
    "metrics": lambda api: api.metrics(),
    "settings": lambda api: api.settings(),
    "network_restrictions": lambda api: api.network_restrictions(),
    "network_bans": lambda api: api.network_bans(),
    "upgrade_status": lambda api: api.upgrade_status(),
    "upgrade_eligibility": lambda api: api.upgrade_eligibility(),
    "addons": lambda api: api.addons(),
    "entitlements": lambda api: api.entitlements(),
    "maintenance": lambda api: api.maintenance(),
    "branches": lambda api: api.branches(),
    "create_branch": lambda api: api.create_branch("b"),
    "branch": lambda api: api.branch(REF),
    "delete_branch": lambda api: api.delete_branch(REF),
    "api_keys": lambda api: api.api_keys(reveal=True),
}
WITH_A_FORM = [
    name for name in OPERATIONS if name not in {"restore_pitr", "undo", "query", "read_only_query", "metrics"}
]
PROJECT = f"{BASE}/v1/projects/{REF}"


def test_every_operation_is_here():
    assert set(METHODS) == set(OPERATIONS)


async def ask(name: str, **answer: Any) -> Any:
    """What the client makes of an answer to one operation: a value, or its coded error."""
    wire = Wire()
    wire.api._tls = False  # nothing is sent, and reading the public CAs takes longer than the rest
    if name in {"entitlements", "maintenance"}:
        wire.api._project = await told()
    with respx.mock(assert_all_called=False) as web:
        web.route(url__startswith=BASE).respond(**answer)
        try:
            return await METHODS[name](wire.api)
        except (PlatformError, StatementError) as error:
            return error
        finally:
            await wire.api.close()


async def told() -> Any:
    wire = Wire()
    wire.api._tls = False
    with respx.mock() as web:
        web.get(PROJECT).respond(json=project())
        try:
            return await wire.api.project()
        finally:
            await wire.api.close()


def good(name: str) -> int:
    return min(OPERATIONS[name].successes, default=200)


def leaves(value: Any) -> list[Any]:
    """All values in what a method returned."""
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, BaseModel):
        return [leaf for name in type(value).model_fields for leaf in leaves(getattr(value, name))]
    if isinstance(value, Mapping):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, tuple | list):
        return [leaf for one in value for leaf in leaves(one)]
    return [] if value is None or value in ("", False) else [value]


def sent(value: Any) -> list[Any]:
    """All values in what was sent, with their types: True is no 1."""
    if isinstance(value, Mapping):
        return [leaf for one in value.values() for leaf in sent(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in sent(one)]
    return [value]


def same(one: Any, other: Any) -> bool:
    return (
        one == other
        and isinstance(one, bool) == isinstance(other, bool)
        and isinstance(one, str) == isinstance(other, str)
    )


@pytest.mark.parametrize("name", WITH_A_FORM)
@fuzzed
@given(data=st.data())
async def test_an_answer_that_the_document_allows_is_taken(name, data):
    body = json.dumps(data.draw(answers(OPERATIONS[name].path, OPERATIONS[name].method)))
    answer = await ask(name, status_code=good(name), content=body, headers={"content-type": "application/json"})
    assert not isinstance(answer, AgentError), answer
    all_sent = sent(json.loads(body))
    assert all(any(same(leaf, one) for one in all_sent) for leaf in leaves(answer)), "something was made up"


@pytest.mark.parametrize("name", WITH_A_FORM)
@fuzzed
@given(data=st.data())
async def test_an_answer_that_was_spoilt_is_an_error_or_taken_as_it_is(name, data):
    operation = OPERATIONS[name]
    value = data.draw(spoilt(answers(operation.path, operation.method)) | ANYTHING)
    body = json.dumps(value)
    answer = await ask(name, status_code=good(name), content=body, headers={"content-type": "application/json"})
    if isinstance(answer, AgentError):
        assert answer.code == ("platform.bad_answer" if operation.repeats else "platform.in_doubt")
        assert TOKEN not in str(answer.as_dict())
        return
    all_sent = sent(value)
    assert all(any(same(leaf, one) for one in all_sent) for leaf in leaves(answer)), "something was made up"
    assert isinstance(value, dict | list), "no object, and yet a success"


@pytest.mark.parametrize("name", OPERATIONS)
@fuzzed
@given(
    status=st.integers(200, 599),
    kind=st.sampled_from(["application/json", "text/html", "text/plain", "", "application/octet-stream", "a;b;c"]),
    content=st.binary(max_size=60) | ANYTHING.map(lambda value: json.dumps(value).encode()),
)
async def test_noise_is_a_coded_error_and_never_a_success_with_content(name, status, kind, content):
    operation = OPERATIONS[name]
    answer = await ask(name, status_code=status, content=content, headers={"content-type": kind} if kind else {})
    if isinstance(answer, AgentError):
        assert answer.code.startswith(("platform.", "target.statement_failed"))
        assert not (isinstance(answer, PlatformError) and answer.in_doubt and operation.repeats)
        return
    if name == "maintenance" and status in (404, 501):
        assert answer is None
        return
    assert status in (operation.successes or range(200, 300))
    if answer is not None:
        assert leaves(answer) == [] or all(
            any(same(leaf, one) for one in [*_parsed(content), content.decode("utf-8", "replace")])
            for leaf in leaves(answer)
        )


def _parsed(content: bytes) -> list[Any]:
    try:
        return sent(json.loads(content))
    except ValueError:
        return []


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.ProxyError])
async def test_no_answer_is_one_coded_error(name, failure):
    wire = Wire()
    wire.api._tls = False
    wire.api._project = await told()
    with respx.mock() as web:
        web.route(url__startswith=BASE).mock(side_effect=failure("x"))
        with pytest.raises(PlatformError) as raised:
            await METHODS[name](wire.api)
    effect, arrived = not OPERATIONS[name].repeats, failure in (httpx.ReadError, httpx.RemoteProtocolError)
    assert raised.value.code == ("platform.in_doubt" if effect and arrived else "platform.unreachable")
    assert raised.value.in_doubt is (effect and arrived)
