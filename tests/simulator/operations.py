"""Which function answers which operation; the modules that answer register themselves here."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from .model import Answer, Call, Refused

Handler = Callable[[Call], Awaitable[Any]]
HANDLERS: dict[str, Handler] = {}


def operation(*ids: str) -> Callable[[Handler], Handler]:
    """Register the function that answers these operations.

    It returns an `Answer`, or what the body's JSON is made of (None: an empty body) for the operation's good status.
    """

    def register(handler: Handler) -> Handler:
        for one in ids:
            assert one not in HANDLERS, one
            HANDLERS[one] = handler
        return handler

    return register


async def answer(call: Call) -> Answer:
    """Let the operation's function answer.

    Raises:
        Refused: an error, 501 for an operation that the simulator does not have.
    """
    handler = HANDLERS.get(call.operation.id)
    if handler is None:
        raise Refused(501, f"The simulator does not have {call.operation.id}")
    made = await handler(call)
    if isinstance(made, Answer):
        return made
    body = b"" if made is None else json.dumps(made, default=str, ensure_ascii=False).encode()
    return Answer(status=call.operation.success(), body=body)
