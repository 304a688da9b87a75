"""What passes between the server and the operations: calls, answers, refusals; tokens and faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .contract import Operation

if TYPE_CHECKING:
    from .platform import Platform
    from .project import Project


@dataclass(frozen=True, kw_only=True)
class Token:
    """A personal access token.

    Args:
        permissions: what a scoped token holds; None: everything that its user may.
    """

    text: str
    user: str
    permissions: frozenset[str] | None = None


@dataclass(kw_only=True)
class Call:
    """A request that was understood: it has an operation."""

    platform: Platform
    operation: Operation
    path: Mapping[str, str]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    token: Token | None = None
    client: tuple[str, int] | None = None
    found: Project | None = None

    @property
    def project(self) -> Project:
        """The project of the path."""
        assert self.found is not None, self.operation.path
        return self.found


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes = b""
    media: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One request and its answer, as a test sees them in `Platform.calls`.

    Args:
        operation: its `operationId`; None where the document has no such operation.
        problems: what in the request violates the document.
        status: what was answered; 0: the connection was cut.
        fault: the scripted fault that took part.
    """

    method: str
    path: str
    operation: str | None
    query: Mapping[str, Any]
    body: Any
    status: int
    problems: tuple[str, ...] = ()
    fault: Fault | None = None


class Refused(Exception):  # noqa: N818 - as other words for outcomes here
    """An error answer. `extra` stands beside the message in a v1 body and in `meta` of a v2 body."""

    def __init__(self, status: int, message: str, *, code: str = "", **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or _CODES.get(status, "error")
        self.extra = extra

    def answer(self, version: int = 1) -> Answer:
        """As v1 or v2 says it."""
        if version == 2:
            error: dict[str, Any] = {"code": self.code, "message": self.message}
            if self.extra:
                error["meta"] = self.extra
            return Answer(status=self.status, body=json.dumps({"error": error}).encode())
        return Answer(status=self.status, body=json.dumps({"message": self.message, **self.extra}).encode())


_CODES = {
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    429: "too_many_requests",
    500: "internal_error",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with some calls of one operation; see `Platform.fault`."""

    operation: str
    status: int | None = None
    message: str | None = None
    body: bytes | None = None
    media: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    missing_permissions: tuple[str, ...] = ()
    seconds: float = 0.0
    cut: str | None = None
