"""Logs: JSON or console, the libraries' records too, and no secret in any of them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Literal

import pytest

from agent.cli.log import configure_logging
from agent.core.redaction import Redactor

SECRET = "s3cret-phrase"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    names = ("httpx", "httpcore", "apscheduler", "uvicorn.access", "asyncio")
    levels = {name: logging.getLogger(name).level for name in names}
    engine = logging.getLogger("dbos")
    handlers, propagate = list(engine.handlers), engine.propagate
    yield
    engine.handlers[:], engine.propagate = handlers, propagate
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def logged(level: str = "info", format: Literal["json", "console", "auto"] = "json") -> io.StringIO:  # noqa: A002
    stream = io.StringIO()
    configure_logging(level=level, format=format, redactor=Redactor([SECRET]), stream=stream)
    return stream


def test_json_has_level_time_and_fields():
    stream = logged()
    logging.getLogger("agent").info("deploy ended", extra={"deploy_id": "d1", "seconds": 1.5})
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "deploy ended", "level": "info", "logger": "agent", "deploy_id": "d1", "seconds": 1.5}


@pytest.mark.parametrize(
    ("message", "extra", "reason"),
    [
        ("%d of %d", {}, "TypeError"),
        ("%s: 5 % y %s", {}, "ValueError"),
        ("%s %s", {"fields": {("a", "key"): SECRET}}, "TypeError"),
    ],
    ids=["words", "sign", "fields"],
)
def test_a_record_that_cannot_be_shown_tells_no_secret(
    capsys: pytest.CaptureFixture[str], message: str, extra: dict[str, object], reason: str
):
    stream = logged()
    logging.getLogger("library").warning(message, SECRET, SECRET, extra=extra)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["reason"]) == ("a record cannot be shown", reason)
    assert line["file"].startswith("test_logging.py:")
    assert SECRET not in stream.getvalue() + capsys.readouterr().err


def test_a_closed_stream_stops_nothing(capsys: pytest.CaptureFixture[str]):
    logged().close()
    logging.getLogger("library").warning("the password is %s", SECRET)
    assert capsys.readouterr().err == ""


def test_records_of_libraries_take_the_same_way():
    stream = logged()
    logging.getLogger("uvicorn.error").warning("port %s is taken", 8080, extra={"host": "h"})
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["logger"], line["host"]) == (
        "port 8080 is taken",
        "warning",
        "uvicorn.error",
        "h",
    )


@pytest.mark.parametrize("kind", ["json", "console"])
def test_no_secret_in_event_field_exception_or_object(kind: Literal["json", "console"]):
    stream = logged(format=kind)
    log = logging.getLogger("agent")
    log.info(
        SECRET,
        extra={
            "nested": {"list": [f"postgres://u:{SECRET}@h/d", Path(SECRET)], "password": "short"},
            "path": RuntimeError(SECRET),
        },
    )
    try:
        int(f"cannot connect with {SECRET}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("dbos").exception("failed: %s", SECRET)
    text = stream.getvalue()
    assert SECRET not in text
    assert "short" not in text
    assert text.count("ValueError") >= 2
    assert "***" in text


def test_the_level_holds_for_both():
    stream = logged(level="warning")
    logging.getLogger("agent").info("quiet")
    logging.getLogger("agent.x").info("quiet")
    assert stream.getvalue() == ""


def test_chatty_libraries_are_quiet_unless_they_warn():
    stream = logged(level="debug")
    logging.getLogger("httpx").info("HTTP Request: POST https://hooks.slack.com/services/T/B/x")
    assert stream.getvalue() == ""


def test_a_library_that_prints_by_itself_does_so_no_longer(capsys: pytest.CaptureFixture[str]):
    engine = logging.getLogger("dbos")
    engine.handlers[:], engine.propagate = [logging.StreamHandler(sys.stderr)], False
    stream = logged(level="error")
    engine.error("failed: %s", SECRET)
    engine.warning("not worth a line at this level")
    assert json.loads(stream.getvalue())["event"] == "failed: ***"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", [asyncio.CancelledError, futures.CancelledError, ValueError])
def test_a_task_cut_short_at_the_end_is_no_error(kind: type[BaseException]):
    stream = logged()
    logging.getLogger("apscheduler").error("raised an exception", exc_info=kind("x"))
    assert bool(stream.getvalue()) == (kind is ValueError)


def test_auto_is_json_away_from_a_terminal():
    stream = logged(format="auto")
    logging.getLogger("agent").info("x")
    assert json.loads(stream.getvalue())["event"] == "x"
