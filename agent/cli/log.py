"""Logs: structured, to stderr, as JSON or for a terminal, and never with a secret in them.

The agent logs with the standard library: a constant message, and its fields in `extra`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from concurrent import futures
from datetime import UTC, datetime
from typing import Literal, TextIO

from agent.core.redaction import Redactor
from agent.ports import trace_fields

# At their own levels they tell URLs, or every value that goes into the store.
_LOUD_LIBRARIES = ("httpx", "httpcore", "apscheduler", "uvicorn.access", "asyncio", "aiosqlite", "sqlalchemy")
_SELF_PRINTING = ("dbos",)  # its own handler would write past the redactor

_NO_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message", "asctime",  # of other formatters
    "taskName",  # since Python 3.12
    "color_message",  # uvicorn's message a second time, with colours
}  # fmt: skip


def configure_logging(
    *,
    level: str,
    format: Literal["auto", "json", "console"],  # noqa: A002 - the setting's own name
    redactor: Redactor,
    stream: TextIO | None = None,
) -> None:
    """Send the records of the agent and of its libraries to one place, redacted.

    Args:
        level: lowest level shown: debug, info, warning, error.
        format: `auto` is `console` when the stream is a terminal, else `json`.
        redactor: knows the installation's secrets.
        stream: where to; None: stderr.
    """
    out = stream or sys.stderr
    handler = _Handler(out)
    handler.setLevel(level.upper())  # a library's logger may have a lower one
    handler.addFilter(_is_no_cancelling)
    handler.setFormatter(_Formatter(redactor, pretty=format == "console" or (format == "auto" and out.isatty())))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _SELF_PRINTING:
        library = logging.getLogger(name)
        library.handlers[:] = [logging.NullHandler()]  # with one it adds none of its own
        library.propagate = True
    for name in _LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _is_no_cancelling(record: logging.LogRecord) -> bool:
    """A task that is cut short because the program ends is no failure, though libraries log it as one."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError | futures.CancelledError))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes records; of one that cannot be put into words only where it comes from."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """See `logging.Handler.handleError`, which would print the record's parts past the redactor."""
        error = sys.exception()
        if isinstance(error, OSError) or self.stream.closed:  # there is nowhere to tell it
            return
        told = logging.makeLogRecord({"name": record.name, "levelno": record.levelno, "levelname": record.levelname})
        told.msg = "a record cannot be shown"
        told.__dict__.update(file=f"{record.filename}:{record.lineno}", reason=type(error).__name__)
        self.emit(told)


class _Formatter(logging.Formatter):
    """A record as one line of JSON, or as one for people with tracebacks below it.

    Args:
        redactor: masks secrets in every part of a record.
        pretty: for people.
    """

    def __init__(self, redactor: Redactor, *, pretty: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._pretty = pretty

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        head = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        told = head | trace_fields() | {key: value for key, value in record.__dict__.items() if key not in _NO_FIELDS}
        below = {"exception": self.formatException(record.exc_info)} if record.exc_info else {}
        if record.stack_info:
            below["stack"] = record.stack_info
        # Plain first: the text of an exception or of a path may hold a secret too.
        told, below = (self._redactor.deep(json.loads(json.dumps(part, default=str))) for part in (told, below))
        if not self._pretty:
            return json.dumps(told | below)
        first = "{timestamp} [{level:8}] {event:30} [{logger}]".format_map(told)
        fields = [f"{key}={value}" for key, value in told.items() if key not in head]
        return "\n".join([" ".join([first, *fields]), *below.values()])
