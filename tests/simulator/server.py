"""The HTTP server: a request goes through limits, faults, permissions and the contract to the function that answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import operations
from .api import SERVICES
from .contract import Operation
from .model import Answer, Call, Fault, Recorded, Refused
from .platform import Platform

_ANONYMOUS = "(no token)"


class Server:
    """The ASGI application of one platform.

    Args:
        platform: what is served.
        uvicorn_server: its server, which knows the connections that a fault cuts; None until it runs.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.uvicorn_server: uvicorn.Server | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        service = request.url.path.split("/")[1]
        answer = await (self._service(request, service) if service in SERVICES else self._management(request))
        if answer is None:
            self._cut(request)
            return
        await _send(answer, request, send)

    async def _service(self, request: Request, service: str) -> Answer | None:
        """Answer a request of a project's own API; None: the connection is to be cut."""
        platform = self._platform
        ref = request.headers.get("host", "").split(".")[0]
        project = platform.projects.get(ref, platform.project)
        raw = await request.body()
        fault = platform.next_fault(service)
        cut = fault.cut if fault is not None else None
        answer = Answer(status=0)
        if cut != "before":
            assert project.api is not None
            if fault is not None and fault.status is not None:
                answer = _scripted(fault).answer()
            else:
                answer = await project.api.answer(request)
            if fault is not None:
                body = answer.body if fault.body is None else fault.body
                headers = {**answer.headers, **fault.headers}
                answer = Answer(status=answer.status, body=body, media=fault.media or answer.media, headers=headers)
        platform.api_calls.append(
            Recorded(
                method=request.method,
                path=request.url.path,
                operation=service,
                query=dict(request.query_params),
                body=raw,
                status=0 if cut else answer.status,
                fault=fault,
            )
        )
        if cut:
            return None
        await _late(fault)
        return answer

    async def _management(self, request: Request) -> Answer | None:
        """Answer a request of the Management API and record it; None: the connection is to be cut."""
        platform = self._platform
        raw = await request.body()
        matched = platform.contract.match(request.method, request.url.path)
        if matched is None:
            answer = Refused(404, f"Cannot {request.method} {request.url.path}").answer()
            self._record(request, None, {}, raw, answer.status)
            return answer
        operation, path = matched
        fault = platform.next_fault(operation.id)
        if fault is not None and fault.cut == "before":
            self._record(request, operation, {}, raw, 0, fault=fault)
            return None
        call = Call(
            platform=platform,
            operation=operation,
            path=path,
            headers={name.lower(): value for name, value in request.headers.items()},
            client=(request.client.host, request.client.port) if request.client else None,
        )
        headers: dict[str, str] = {"cache-control": "no-cache"}
        problems: list[str] = []
        try:
            answer = await self._answer(call, request, raw, fault, headers, problems)
        except Refused as refused:
            answer = refused.answer(operation.version)
        if fault is None:
            self._hold_to_contract(operation, answer)
        else:
            headers |= fault.headers
            if fault.body is not None:
                answer = Answer(status=answer.status, body=fault.body, media=fault.media or answer.media)
        cut = fault is not None and fault.cut == "after"
        self._record(
            request, operation, call.query, raw, 0 if cut else answer.status, problems=tuple(problems), fault=fault
        )
        if cut:
            return None
        await _late(fault)
        return Answer(status=answer.status, body=answer.body, media=answer.media, headers={**headers, **answer.headers})

    async def _answer(
        self,
        call: Call,
        request: Request,
        raw: bytes,
        fault: Fault | None,
        headers: dict[str, str],
        problems: list[str],
    ) -> Answer:
        platform, operation = self._platform, call.operation
        if not operation.public:
            call.token = platform.authenticate(request.headers.get("authorization", ""))
        user = call.token.user if call.token else _ANONYMOUS
        place = call.path.get("ref") or call.path.get("slug") or call.path.get("branch_id_or_ref") or ""
        headers |= platform.count(user, place, operation.id)
        if headers.pop("x-over", None):
            raise Refused(429, "Too Many Requests")
        if fault is not None and fault.status is not None:
            raise _scripted(fault)
        _permit(call)
        problems += self._read(call, request, raw)
        if "ref" in call.path and not problems:
            call.found = platform.visible(call.path["ref"])
        if problems:
            raise Refused(400, "; ".join(problems))
        return await operations.answer(call)

    def _read(self, call: Call, request: Request, raw: bytes) -> list[str]:
        """Read query and body into the call; what is wrong with the request."""
        contract, operation = self._platform.contract, call.operation
        call.query, problems = contract.parse_query(operation, request.query_params.multi_items())
        described = operation.document.get("requestBody")
        if self._platform.validate:
            problems += contract.check_path(operation, call.path)
        else:
            problems = []
        if described is None:
            return problems
        media = request.headers.get("content-type", "").split(";")[0].strip()
        if media not in described["content"] and (described.get("required") or raw):
            return [*problems, f"content type {media!r} is not one of {sorted(described['content'])}"]
        if "json" in media:
            try:
                call.body = json.loads(raw, parse_constant=_no_constant)
            except ValueError as error:
                return [*problems, f"body: {error}"]
        else:
            call.body = raw
        if self._platform.validate:
            problems += contract.check_body(operation, media, call.body)
        return problems

    def _hold_to_contract(self, operation: Operation, answer: Answer) -> None:
        if not self._platform.validate:
            return
        found = self._platform.contract.check_answer(operation, answer.status, answer.media, answer.body)
        self._platform.violations += [f"{operation.id}: {answer.status}: {one}" for one in found]

    def _record(
        self,
        request: Request,
        operation: Operation | None,
        query: Any,
        raw: bytes,
        status: int,
        *,
        problems: tuple[str, ...] = (),
        fault: Fault | None = None,
    ) -> None:
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        self._platform.calls.append(
            Recorded(
                method=request.method,
                path=request.url.path,
                operation=operation.id if operation else None,
                query=query,
                body=body,
                status=status,
                problems=problems,
                fault=fault,
            )
        )

    def _cut(self, request: Request) -> None:
        """Reset the connection that the request came by."""
        assert self.uvicorn_server is not None
        for connection in list(self.uvicorn_server.server_state.connections):
            assert isinstance(connection, H11Protocol)
            if request.client is not None and connection.client == tuple(request.client):
                connection.transport.abort()


def _scripted(fault: Fault) -> Refused:
    assert fault.status is not None
    extra: dict[str, Any] = (
        {"missing_permissions": list(fault.missing_permissions)} if fault.missing_permissions else {}
    )
    return Refused(fault.status, fault.message or _MESSAGES.get(fault.status, "Something went wrong"), **extra)


_MESSAGES = {
    401: "Unauthorized",
    403: "Your account does not have the necessary privileges to access this endpoint.",
    429: "Too Many Requests",
    500: "Internal Server Error",
    544: "Failed to run sql query: Connection terminated due to connection timeout",
}


def _permit(call: Call) -> None:
    """Refuse a token that holds none of the alternatives; the 403 lists what the first of them lacks."""
    if call.token is None or call.token.permissions is None or not call.operation.permissions:
        return
    held = call.token.permissions
    if any(held.issuperset(needed) for needed in call.operation.permissions):
        return
    missing = [one for one in call.operation.permissions[0] if one not in held]
    raise Refused(403, _MESSAGES[403], missing_permissions=missing)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


async def _send(answer: Answer, request: Request, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.body or (answer.status == 200 and request.method == "GET"):
        text = answer.media.startswith("text/") or "json" in answer.media
        kind = f"{answer.media}; charset=utf-8" if text and "charset" not in answer.media else answer.media
        headers.append((b"content-type", kind.encode()))
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.body})


async def _late(fault: Fault | None) -> None:
    """A slow answer, where that was asked for: what the request does is done, and recorded."""
    if fault is not None and fault.seconds:
        await asyncio.sleep(fault.seconds)
