"""A project's own API: which stand-in answers, and its errors."""

from __future__ import annotations

import json

from starlette.requests import Request

from .auth import Auth
from .gateway import Failure
from .model import Answer
from .postgrest import PostgRest
from .project import Project
from .storage import Storage

SERVICES = ("rest", "auth", "storage")


class Api:
    """The three stand-ins of one project; see `gateway.py`.

    Attributes:
        rest: PostgREST; `rest.deaf` makes its schema cache stay old.
        auth: Auth; `auth.create` adds a user.
        storage: Storage; `storage.objects` holds the bytes.
    """

    def __init__(self, project: Project) -> None:
        self.rest = PostgRest(project)
        self.auth = Auth(project)
        self.storage = Storage(project)

    async def answer(self, request: Request) -> Answer:
        """Answer a request below `/rest/v1`, `/auth/v1` or `/storage/v1`."""
        service, _, path = request.url.path.strip("/").partition("/v1")
        try:
            if service == "rest":
                return await self.rest.answer(request, path.strip("/"))
            if service == "auth":
                return await self.auth.answer(request, path.strip("/"))
            return await self.storage.answer(request, path.strip("/"))
        except Failure as failure:
            return Answer(status=failure.status, body=json.dumps(failure.body, default=str).encode())

    async def stop(self) -> None:
        """Let go of the database."""
        await self.rest.stop()
