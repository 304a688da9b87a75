"""The runbook on disk, with the script files that it names."""

from __future__ import annotations

from pathlib import Path

from agent.core.runbook import Runbook, Script
from agent.errors import InputError


def load_runbook_file(path: Path) -> Runbook | None:
    """Read a runbook; its rollback files are read in, so that the result stands by itself.

    Args:
        path: the YAML file; script files are relative to its folder.

    Returns:
        None if there is no such file: a runbook is optional.

    Raises:
        InputError: `runbook.…`, with line and column; `runbook.unreadable`, `runbook.script_unreadable`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error, code="runbook.unreadable") from error
    from agent.core.runbook_io import load_runbook  # noqa: PLC0415 - YAML and the rules: only for who has a runbook

    runbook = load_runbook(text, name=str(path))
    rollback = runbook.rollback.model_copy(
        update={
            "complete": _with_text(runbook.rollback.complete, path.parent),
            "partial": _with_text(runbook.rollback.partial, path.parent),
        }
    )
    migrations = [
        entry.model_copy(update={"rollback": _with_text(entry.rollback, path.parent)}) for entry in runbook.migrations
    ]
    return runbook.model_copy(update={"rollback": rollback, "migrations": migrations})


def _with_text(script: Script | None, folder: Path) -> Script | None:
    if script is None or script.file is None:
        return script
    place = folder / script.file
    try:
        return script.model_copy(update={"sql": place.read_text(encoding="utf-8-sig"), "file": None})
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(place, error, code="runbook.script_unreadable") from error


def _unreadable(place: Path, error: Exception, *, code: str) -> InputError:
    reason = getattr(error, "strerror", None) or "not UTF-8"
    return InputError(
        f"{place} cannot be read: {reason}",
        code=code,
        hint="Check the file's name in the runbook, and that the agent's user may read it.",
        where={"file": str(place)},
    )
