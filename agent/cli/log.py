"""Logs: structured, to stderr, as JSON or for a terminal, and never with a secret in them."""

from __future__ import annotations

import asyncio
import logging
import sys
from concurrent import futures
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from agent.core.redaction import Redactor

_LOUD_LIBRARIES = ("httpx", "httpcore", "apscheduler", "uvicorn.access", "asyncio")
_SELF_PRINTING = ("dbos",)  # its own handler would write past the redactor


def configure_logging(
    *,
    level: str,
    format: Literal["auto", "json", "console"],  # noqa: A002 - the setting's own name
    redactor: Redactor,
    stream: TextIO | None = None,
) -> None:
    """Send structlog's and the standard library's records to one place, redacted.

    Args:
        level: lowest level shown: debug, info, warning, error.
        format: `auto` is `console` when the stream is a terminal, else `json`.
        redactor: knows the installation's secrets.
        stream: where to; None: stderr.
    """
    out = stream or sys.stderr
    pretty = format == "console" or (format == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redacting(redactor),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if pretty
        else structlog.processors.JSONRenderer(default=str)
    )
    handler = logging.StreamHandler(out)
    handler.setLevel(level.upper())  # a library's logger may have a lower one
    handler.addFilter(_is_no_cancelling)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _SELF_PRINTING:
        library = logging.getLogger(name)
        library.handlers[:] = [logging.NullHandler()]  # with one it adds none of its own
        library.propagate = True
    for name in _LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *(each for each in shared if not isinstance(each, structlog.stdlib.ExtraAdder)),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _is_no_cancelling(record: logging.LogRecord) -> bool:
    """A task that is cut short because the program ends is no failure, though libraries log it as one."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError | futures.CancelledError))


def redacting(redactor: Redactor) -> Processor:
    """A processor that masks secrets in every field of a record."""

    def process(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        kept = {key: event[key] for key in ("_record", "_from_structlog") if key in event}
        # uvicorn adds its message a second time, with colours.
        texts = {key: _plain(value) for key, value in event.items() if key not in (*kept, "color_message")}
        return {**redactor.deep(texts), **kept}

    return process


def _plain(value: object) -> object:
    """Exceptions and paths may hold a secret in their text; make them text so that it is seen."""
    return value if isinstance(value, str | int | float | bool | None | dict | list | tuple) else str(value)
